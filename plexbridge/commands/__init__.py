"""The verbs of `plexbridge`, one module per group; `plexbridge.cli` joins them."""
