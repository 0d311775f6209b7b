"""Identifiers: UUIDv7 (RFC 9562) from the injected clock and randomness."""

from collections.abc import Callable

from events.ids import SessionId
from plexbridge.clock import Clock

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SESSION_CHARS = 26


class Ids:
    """Makes identifiers that sort by time and never repeat within a process."""

    def __init__(self, clock: Clock, randbits: Callable[[int], int]) -> None:
        """`randbits(n)` gives n random bits, as `random.Random.getrandbits` does."""
        self._clock = clock
        self._randbits = randbits
        self._last_ms = 0
        self._sequence = 0

    def event(self) -> bytes:
        """A UUIDv7, 16 bytes; the 12 bits after the time count up within a millisecond, so that
        ids sort in the order they were made (RFC 9562, 6.2, method 1)."""
        now_ms = self._clock.now() // 1_000
        if now_ms > self._last_ms:
            self._last_ms, self._sequence = now_ms, 0
        else:
            self._sequence += 1
            if self._sequence > 0xFFF:
                self._last_ms, self._sequence = self._last_ms + 1, 0
        low = self._randbits(62)
        value = (self._last_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | self._sequence << 64
        return (value | 0b10 << 62 | low).to_bytes(16, "big")

    def session(self) -> SessionId:
        """26 characters of Crockford base32, sorting by time."""
        value = int.from_bytes(self.event(), "big")
        digits = [_CROCKFORD[value >> 5 * place & 31] for place in reversed(range(_SESSION_CHARS))]
        return SessionId("".join(digits))

    def refusal(self) -> str:
        """Like a session's, for a recorded refusal."""
        return str(self.session())
