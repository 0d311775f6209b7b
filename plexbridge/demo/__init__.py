"""A pretend provider on loopback, so that a newcomer sees the bridge work without an account."""
