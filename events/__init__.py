"""What can happen to a viewing session, and what follows: pure rules.

No I/O, no clock, no randomness, no asyncio: data in, data out.
"""
