"""Where notices are sent: an address that holds a secret, and what may be shown of it. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from plexbridge.lineup.redact import MASK, redact
from plexbridge.notices.kinds import NAME_CHARS_MAX, Kind, plain

ADDRESS_CHARS_MAX: Final = 2_000
"""Longer than any service's; a thousand of them fit where they are kept."""

TARGETS_MAX: Final = 20
"""A household has a handful; each may try to send for minutes."""

_PLAIN: Final = re.compile(r"[!-~]+")
_APPRISE: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,30})://[!-~]+", re.IGNORECASE)


class Way(StrEnum):
    """How a target is reached."""

    WEBHOOK = "webhook"
    """A POST of JSON."""
    APPRISE = "apprise"
    """A service by its Apprise URL."""


class TargetInvalid(Exception):
    """What was asked for is none; `field` names what is wrong. Never holds the address."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One of them."""

    id: str
    way: Way
    address: str = field(repr=False)
    """A secret: whoever knows it can write to these people."""
    name: str
    kinds: frozenset[Kind]
    added_at_ms: int

    @property
    def shown(self) -> str:
        """What may be seen of the address: of an Apprise URL the service alone, for each has its
        token in another place."""
        if self.way is Way.WEBHOOK:
            return redact(self.address)
        return f"{self.address.partition('://')[0].lower()}://{MASK}"

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "id": self.id,
            "way": self.way,
            "address": self.address,
            "name": self.name,
            "kinds": in_order(self.kinds),
            "added_at_ms": self.added_at_ms,
        }


def in_order(kinds: Iterable[Kind]) -> list[str]:
    """Kinds as they are always listed."""
    chosen = set(kinds)
    return [str(kind) for kind in Kind if kind in chosen]


def target_of(kept: dict[str, Any]) -> Target:
    """What `Target.document` gave.

    Raises:
        KeyError, TypeError, ValueError: it did not.
    """
    return Target(
        id=str(kept["id"]),
        way=Way(kept["way"]),
        address=str(kept["address"]),
        name=str(kept["name"]),
        kinds=frozenset(map(Kind, kept["kinds"])),
        added_at_ms=int(kept["added_at_ms"]),
    )


def wanted_target(asked: object, *, id_: str, at_ms: int) -> Target:
    """The target that a person asks for: `{way, address, name?, kinds?}`.

    Raises:
        TargetInvalid: it can be none.
    """
    if not isinstance(asked, dict):
        raise TargetInvalid("body", "a JSON object is wanted")
    try:
        way = Way(str(asked.get("way")))
    except ValueError:
        raise TargetInvalid("way", "way is webhook or apprise") from None
    name = asked.get("name", "")
    if not isinstance(name, str) or len(name) > NAME_CHARS_MAX:
        raise TargetInvalid("name", f"a name is a text of at most {NAME_CHARS_MAX} characters")
    return Target(
        id=id_,
        way=way,
        address=_address(way, asked.get("address")),
        name=plain(name),
        kinds=wanted_kinds(asked.get("kinds", list(Kind))),
        added_at_ms=at_ms,
    )


def wanted_kinds(asked: object) -> frozenset[Kind]:
    """The kinds that a person chose.

    Raises:
        TargetInvalid: not all of them are kinds.
    """
    known = {str(kind) for kind in Kind}
    if not isinstance(asked, list) or not all(isinstance(k, str) and k in known for k in asked):
        raise TargetInvalid("kinds", f"kinds is a list of: {', '.join(Kind)}")
    return frozenset(map(Kind, asked))


def _address(way: Way, asked: object) -> str:
    text = asked.strip() if isinstance(asked, str) else ""
    if not text or len(text) > ADDRESS_CHARS_MAX:
        raise TargetInvalid("address", f"an address of 1 to {ADDRESS_CHARS_MAX} characters")
    if way is Way.WEBHOOK and not _is_http(text):
        raise TargetInvalid(
            "address",
            "a webhook's address begins with http:// or https:// and has no spaces; "
            "addresses of services such as ntfy:// are Apprise's",
        )
    if way is Way.APPRISE and _APPRISE.fullmatch(text) is None:
        raise TargetInvalid("address", "an Apprise URL begins with a service, such as ntfy://")
    return text


def _is_http(text: str) -> bool:
    if _PLAIN.fullmatch(text) is None:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
