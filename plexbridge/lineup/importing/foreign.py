"""A channel as another bridge keeps it, in terms that all of them share; and reading their loosely
typed values. Pure.

Nothing here is trusted: the files come from a person's disk, and what is in them from providers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from plexbridge.lineup.m3u import NAME_CHARS_MAX
from plexbridge.lineup.wording import clean

CHANNELS_MAX: Final = 250_000
"""More is no lineup that anybody set up by hand."""

_FALSE: Final = frozenset({"", "0", "false", "no", "off"})


class NotImportable(Exception):
    """A file is not what it should be; one line that says what would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignChannel:
    """What another bridge knows of a channel. Empty: it does not say."""

    name: str
    """As its owner sees it."""
    listed_name: str = ""
    """As the provider listed it, where the bridge keeps that apart."""
    listed_group: str = ""
    tvg_id: str = ""
    """As the provider listed it."""
    urls: tuple[str, ...] = ()
    """Where its bytes come from, the preferred first."""
    number: str = ""
    group: str = ""
    enabled: bool = True
    logo: str = ""
    guide_id: str = ""
    """The guide channel that it is mapped to."""

    @property
    def told(self) -> str:
        """How it is named to a person: never by its URLs, which are logins."""
        return f"{self.number} {self.name}".strip()


def rows_of(found: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, or the values of an object; whatever else is in it is passed over.

    Raises:
        NotImportable: there are too many.
    """
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list):
        return
    if len(found) > CHANNELS_MAX:
        raise NotImportable(f"the file holds {len(found):,} channels; {CHANNELS_MAX:,} are taken")
    yield from (row for row in found if isinstance(row, dict))


def text(row: dict[str, Any], *names: str) -> str:
    """The first of these that holds something, in one line."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found = clean(str(value), NAME_CHARS_MAX)
            if found:
                return found
    return ""


def url(value: Any) -> str:
    """A URL as it is; nothing where it is none."""
    return value.strip() if isinstance(value, str) and "://" in value else ""


def flag(row: dict[str, Any], name: str, default: bool) -> bool:
    """A switch, kept as a boolean, as 0 and 1, or as a word."""
    value = row.get(name)
    if value is None:
        return default
    return str(value).strip().lower() not in _FALSE


def number_text(row: dict[str, Any], *names: str) -> str:
    """A channel's number: `5.0` is how some write 5."""
    return text(row, *names).removesuffix(".0")
