"""The data plane: one upstream read once and handed to every session on its channel."""
