"""Who may come in: password, sessions, keys, names and proxies, and the pages at the entrance."""
