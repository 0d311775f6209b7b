"""Passwords: what is accepted as one, and its Argon2id hash. Hashing is slow on purpose, so on the
event loop only the asynchronous forms are used.

Parameters: OWASP's Password Storage Cheat Sheet asks for at least 19 MiB, two rounds, one lane;
RFC 9106 describes the algorithm. With the third round a login takes some 30 ms of a processor.
"""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_CHARS_MIN: Final = 8
"""NIST SP 800-63B, 5.1.1.2."""

PASSWORD_CHARS_MAX: Final = 256
"""Longer ones are a pasted file."""

HASHES_AT_ONCE: Final = 2
"""Each takes 19 MiB for its time."""

_HASHER: Final = PasswordHasher(time_cost=3, memory_cost=19 * 1024, parallelism=1)


def password_problem(password: str) -> str | None:
    """What is wrong with a new password, in words with the next step; None: nothing."""
    if len(password) < PASSWORD_CHARS_MIN:
        return f"Choose a longer password: at least {PASSWORD_CHARS_MIN} characters."
    if len(password) > PASSWORD_CHARS_MAX:
        return f"Choose a shorter password: at most {PASSWORD_CHARS_MAX} characters."
    if not password.isprintable():
        return "Choose a password without control characters."
    return None


def hash_now(password: str) -> str:
    """The hash to keep, with its parameters and a salt of its own. Blocks."""
    return _HASHER.hash(password)


def verify_now(hashed: str, password: str) -> bool:
    """Whether it is the one. Blocks; compares in constant time."""
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


class Hashing:
    """The two, in threads, few at once: whoever tries many waits for the others' tries."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(HASHES_AT_ONCE)

    async def hash(self, password: str) -> str:
        """See `hash_now`."""
        async with self._places:
            return await asyncio.to_thread(hash_now, password)

    async def verify(self, hashed: str, password: str) -> bool:
        """See `verify_now`."""
        async with self._places:
            return await asyncio.to_thread(verify_now, hashed, password)
