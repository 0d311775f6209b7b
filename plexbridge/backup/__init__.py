"""One file from which a data directory can be made again: written, checked, restored."""
