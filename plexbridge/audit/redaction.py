"""Events and states without what tells whose household they are of.

Addresses of players and the identifiers that players sent are replaced by names that stay the same
within one file, so that two requests of one viewer are still one viewer's. User agents, channels
and times stay: a fault cannot be understood without them. Credentials never were in the log.
"""

import hmac
from dataclasses import replace
from typing import Any, Final

import orjson

from events.codec import encode
from events.envelope import Recorded
from plexbridge.log.exported import Before
from plexbridge.log.sealing import SealedState
from projections import world_state

_REPLACED: Final = frozenset({"address", "client_address", "client_key"})
"""Names under which an address or an identifier stands, wherever that is."""

_CLIENT: Final = "client"
_KEY: Final = "key"

_HEX_CHARS: Final = 10
"""Forty bits: no two players of a house come to be one."""


class Redaction:
    """One file's replacements."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: random bytes, never stored; without them a name cannot be traced back."""
        self._secret = secret

    def event(self, row: Recorded) -> Recorded:
        """The same event with other contents; its hash is the caller's to make anew."""
        return row._replace(data=encode(self.document(row.payload)))

    def before(self, before: Before) -> Before:
        """The same states with other contents."""
        states = tuple(self._state(one) for one in before.seal.states)
        return replace(before, seal=before.seal._replace(states=states))

    def document(self, value: Any, inside: str = "") -> Any:
        """Any JSON, with what is found in it replaced."""
        if isinstance(value, dict):
            return {
                name: self.name(part)
                if isinstance(part, str)
                and (name in _REPLACED or (name == _KEY and inside == _CLIENT))
                else self.document(part, name)
                for name, part in value.items()
            }
        if isinstance(value, list):
            return [self.document(part, inside) for part in value]
        return value

    def name(self, text: str) -> str:
        """What stands for an address or an identifier."""
        if not text:
            return text
        return f"client-{hmac.digest(self._secret, text.encode(), 'sha256').hex()[:_HEX_CHARS]}"

    def _state(self, sealed: SealedState) -> SealedState:
        document = self.document(orjson.loads(sealed.state))
        if sealed.name == world_state.NAME:
            document["refused"] = [
                [self._refusal(key), since] for key, since in document["refused"]
            ]
        return sealed._replace(state=orjson.dumps(document))

    def _refusal(self, key: str) -> str:
        """The part before the line feed is the client's; see `events.world.refusal_key`."""
        client, feed, channel = key.partition("\n")
        return f"{self.name(client)}{feed}{channel}"
