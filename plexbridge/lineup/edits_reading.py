"""Reading changes as people and programs send them: which fields there are and what each may hold.

Pure. What is wrong is told by field; a value is cleaned as a provider's would be.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from plexbridge.lineup.edits import Patch
from plexbridge.lineup.m3u import NAME_CHARS_MAX
from plexbridge.lineup.numbering import guide_number
from plexbridge.lineup.wording import clean

LOGO_CHARS_MAX: Final = 2_048
"""Longer URLs are data that somebody put into one."""

UPSTREAMS_MAX: Final = 64
"""Digests in an order; a channel has fewer upstreams."""

_DIGEST: Final = re.compile(r"[0-9a-f]{16}")


class EditInvalid(Exception):
    """A field that is none, or a value that it cannot have."""

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(f"{field}: {wanted}")
        self.field = field


def patch_of(document: object) -> Patch:
    """The fields to change in one channel.

    Raises:
        EditInvalid: with the first field that cannot be.
    """
    if not isinstance(document, Mapping) or not document:
        raise EditInvalid("body", f"fields to change are wanted: {', '.join(_READERS)}")
    patch: dict[str, Any] = {}
    for name, value in document.items():
        reader = _READERS.get(str(name))
        if reader is None:
            known = ", ".join(_READERS)
            raise EditInvalid(clean(str(name), 40), f"there is no such field; there are {known}")
        patch[str(name)] = None if value is None else reader(str(name), value)
    return patch


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise EditInvalid(field, "true, false, or null for as it is listed")
    return value


def _number(field: str, value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = guide_number(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise EditInvalid(field, "a guide number is wanted, such as 5 or 5.1, from 1 to 999999")
    return found


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise EditInvalid(field, "a text is wanted, or null for as it is listed")
    if len(value) > NAME_CHARS_MAX:
        raise EditInvalid(field, f"at most {NAME_CHARS_MAX} characters")
    return clean(value, NAME_CHARS_MAX)


def _name(field: str, value: object) -> str:
    text = _text(field, value)
    if not text:
        raise EditInvalid(field, "a channel needs a name; null for the listed one")
    return text


def _logo(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > LOGO_CHARS_MAX:
        raise EditInvalid(field, f"an http(s) URL of at most {LOGO_CHARS_MAX} characters")
    text = value.strip()
    if text and not is_logo(text):
        raise EditInvalid(field, "an http(s) URL is wanted, or nothing for no logo")
    return text


def is_logo(text: str) -> bool:
    """Whether a text can be a logo's URL: HTTP, a host, and nothing that breaks a line."""
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > LOGO_CHARS_MAX:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _upstreams(field: str, value: object) -> tuple[str, ...]:
    good = (
        isinstance(value, list)
        and 0 < len(value) <= UPSTREAMS_MAX
        and all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in value)
        and len(set(value)) == len(value)
    )
    if not good or not isinstance(value, list):
        raise EditInvalid(field, "digests of the channel's upstreams are wanted, in their order")
    return tuple(value)


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "enabled": _flag,
    "guide_number": _number,
    "name": _name,
    "group": _text,
    "logo": _logo,
    "favourite": _flag,
    "tvg_id": _text,
    "upstreams": _upstreams,
}
