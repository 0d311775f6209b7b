"""AES-128 segments (RFC 8216 sections 4.3.2.4 and 5.2): CBC over the whole, PKCS#7 at the end.

Knows one segment's cipher; nothing of where keys come from. Decrypts as the bytes come: 64 KB take
some 0.1 ms, so that the event loop is not held up.
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from plexbridge.relay.hls.faults import SegmentUnusable

KEY_BYTES: Final = 16
_BLOCK_BITS: Final = 128


def iv_of(sequence: int) -> bytes:
    """The IV where none is given: the media sequence number, 128 bits, big-endian."""
    return (sequence & (1 << _BLOCK_BITS) - 1).to_bytes(_BLOCK_BITS // 8, "big")


class SegmentCipher:
    """Decrypts one segment."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        assert len(key) == KEY_BYTES, "the fetcher sees to the length of keys"
        self._cipher = Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor()
        self._padding = PKCS7(_BLOCK_BITS).unpadder()

    def feed(self, chunk: bytes) -> bytes:
        """What can be decrypted now; up to 31 bytes wait for the next chunk."""
        return self._padding.update(self._cipher.update(chunk))

    def finish(self) -> bytes:
        """The rest, without its padding.

        Raises:
            SegmentUnusable: `hls_bad_padding`: another key, or not the whole segment.
        """
        try:
            return self._padding.update(self._cipher.finalize()) + self._padding.finalize()
        except ValueError:
            raise SegmentUnusable("hls_bad_padding") from None
