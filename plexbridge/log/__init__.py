"""The event log: one port, SQLite behind it, and its twin in memory."""
