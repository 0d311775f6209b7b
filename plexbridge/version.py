"""The version of PlexBridge, said once: package metadata is built from it. Knows nothing else."""

__version__ = "0.1.0"
