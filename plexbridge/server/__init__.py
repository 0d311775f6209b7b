"""The edges of the HTTP server: its listening socket, its protocols, its end."""
