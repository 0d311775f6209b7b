"""Random tokens, and what is kept of them. Pure; randomness is handed in.

A token of 256 random bits cannot be found by trying, so one round of SHA-256 is enough to keep it
by: a slow hash is for what people choose (NIST SP 800-63B, 5.1.2.2 for look-up secrets).
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

RandomBytes = Callable[[int], bytes]

TOKEN_BYTES: Final = 32
"""256 bits."""


def new_token(random_bytes: RandomBytes) -> str:
    """43 characters that need no escaping in a cookie, a header or an address."""
    return urlsafe_b64encode(random_bytes(TOKEN_BYTES)).rstrip(b"=").decode("ascii")


def digest_of(token: str) -> str:
    """What is kept and compared in its stead, in hexadecimal. Looking a digest up tells nothing by
    its duration: nobody can choose a token by its digest's first bytes."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
