"""The shell of PlexBridge: everything that waits, opens, listens or tells the time."""
