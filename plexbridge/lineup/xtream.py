"""Xtream Codes: what a panel is asked, and what is believed of its answers.

Pure. Knows `player_api.php` as panels speak it: numbers as texts, nulls, lists for objects, `200`
for a refused login. Knows nothing of files, requests and refreshes. (Source: hdhomerun.md section
6.3, and the answers of panels in the field.)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import orjson

from plexbridge.lineup.errors import AccountRefused, NotAPlaylist, PlaylistEmpty
from plexbridge.lineup.json_items import BrokenJson, items
from plexbridge.lineup.m3u import NAME_CHARS_MAX, Entry, OddLine, logo_url
from plexbridge.lineup.taking import Found, Keep, check_count
from plexbridge.lineup.wording import clean

SCHEMES = ("xtream+http", "xtream+https")
"""Of a location that names an account: `xtream+http://USER:PASS@HOST[:PORT]`."""

CATEGORIES_MAX = 10_000
"""Panels have hundreds."""

CONNECTIONS_MAX = 1_000
"""Resellers' accounts have hundreds; panels write 0 or a number like 99999 for "no limit"."""

_WHOLE_CHARS_MAX = 12
_NOT_ACTIVE = frozenset({"banned", "disabled", "expired"})
_LIVE = frozenset({"", "live", "created_live", "radio_streams"})
_CHECK_LOGIN = "check the host, the user and the password"


@dataclass(frozen=True, slots=True)
class Login:
    """An account at a panel. Every URL made of it holds the login."""

    base: str
    """Scheme, host and port, and the panel's path if it has one; no slash at its end."""
    user: str
    password: str

    def api(self, action: str = "") -> str:
        """`player_api.php`."""
        asked = f"{self.base}/player_api.php?{self._query}"
        return f"{asked}&action={action}" if action else asked

    @property
    def guide(self) -> str:
        """The account's programme guide."""
        return f"{self.base}/xmltv.php?{self._query}"

    def live(self, stream: int, extension: str) -> str:
        """Where a channel is read."""
        user, password = quote(self.user, safe=""), quote(self.password, safe="")
        return f"{self.base}/live/{user}/{password}/{stream}.{extension}"

    @property
    def _query(self) -> str:
        return f"username={quote(self.user, safe='')}&password={quote(self.password, safe='')}"


def login_of(location: str) -> Login | None:
    """The account that a location is of: an `xtream+…` one, or a playlist's `get.php`; None for any
    other, and for one that cannot be read."""
    try:
        parts = urlsplit(location)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    if parts.scheme in SCHEMES:
        if not parts.username or not parts.password:
            return None
        scheme = parts.scheme.removeprefix("xtream+")
        base = f"{scheme}://{place}{parts.path.rstrip('/')}"
        return Login(base, unquote(parts.username), unquote(parts.password))
    if parts.scheme not in ("http", "https") or not parts.path.endswith("/get.php"):
        return None
    asked = parse_qs(parts.query, max_num_fields=20) if parts.query.count("&") < 20 else {}
    user, password = asked.get("username", [""])[0], asked.get("password", [""])[0]
    if not user or not password:
        return None
    return Login(f"{parts.scheme}://{place}{parts.path.removesuffix('/get.php')}", user, password)


def is_account(location: str) -> bool:
    """Whether channels are to be asked of a panel."""
    return location.partition("://")[0].lower() in SCHEMES


@dataclass(frozen=True, slots=True)
class Account:
    """What a panel says of an account."""

    status: str = ""
    """In the panel's words: `Active`, `Expired`, …"""
    max_connections: int = 0
    """At once; 0: not said, or no limit."""
    expires_at: int | None = None
    """Seconds since 1970; None: never, or not said."""
    extension: str = "ts"
    """Of the channels' URLs: `ts`, or `m3u8` where only that is to be had."""

    @property
    def active(self) -> bool:
        """Whether it may watch."""
        return self.status.lower() not in _NOT_ACTIVE


def read_account(body: bytes, place: str) -> Account:
    """The account, from the answer of `player_api.php` without an action.

    Raises:
        AccountRefused: the login is wrong, or the account is not active.
        NotAPlaylist: it is another kind of answer.
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotAPlaylist(place, "does not answer like an Xtream panel", _CHECK_LOGIN) from error
    user = said.get("user_info") if isinstance(said, dict) else None
    if not isinstance(user, dict) or not ("auth" in user or "status" in user):
        raise NotAPlaylist(place, "does not answer like an Xtream panel", _CHECK_LOGIN)
    if "auth" in user and _whole(user["auth"]) != 1 and user["auth"] is not True:
        raise AccountRefused(place, "the login is refused", _CHECK_LOGIN)
    connections = _whole(user.get("max_connections")) or 0
    account = Account(
        status=_text(user.get("status")),
        max_connections=connections if connections <= CONNECTIONS_MAX else 0,
        expires_at=_whole(user.get("exp_date")) or None,
        extension=_extension(user.get("allowed_output_formats")),
    )
    if not account.active:
        raise AccountRefused(
            place, f"the account is {account.status.lower()}", "ask the provider, or renew it"
        )
    return account


def read_categories(pieces: Iterator[bytes], place: str) -> dict[str, str]:
    """Names by id, from the answer to `get_live_categories`.

    Raises:
        NotAPlaylist: it is no list.
    """
    named: dict[str, str] = {}
    for item in _items(pieces, place, "categories"):
        if isinstance(item, dict) and len(named) < CATEGORIES_MAX:
            named[_text(item.get("category_id"))] = _text(item.get("category_name"))
    return named


def take_streams(
    pieces: Iterator[bytes],
    categories: Mapping[str, str],
    login: Login,
    extension: str,
    place: str,
    keep: Keep,
) -> Found:
    """Hand an entry for each live stream to `keep`, from the answer to `get_live_streams`.

    Raises:
        NotAPlaylist, PlaylistEmpty, PlaylistUnreadable: some entries may have been handed over
            before.
    """
    found = Found(guide_urls=[login.guide])
    for number, item in enumerate(_items(pieces, place, "channels"), start=1):
        if not isinstance(item, dict):
            found.odd(OddLine(number, "not a channel"))
            continue
        kind = _text(item.get("stream_type"))
        stream = _whole(item.get("stream_id"))
        if kind not in _LIVE:
            continue
        if stream is None:
            found.odd(OddLine(number, "a channel without a number of its stream"))
            continue
        found.entries += 1
        check_count(found.entries, place)
        guide_number = _whole(item.get("num"))
        keep(
            Entry(
                line=number,
                name=_text(item.get("name")),
                url=login.live(stream, extension),
                tvg_id=_text(item.get("epg_channel_id")),
                number=str(guide_number) if guide_number else "",
                logo=logo_url(icon) if isinstance(icon := item.get("stream_icon"), str) else "",
                group=categories.get(_category(item), ""),
                radio=kind == "radio_streams",
            )
        )
    if not found.entries:
        raise PlaylistEmpty(place, "the account has no live channels", "ask the provider")
    return found


def _items(pieces: Iterator[bytes], place: str, what: str) -> Iterator[object]:
    try:
        yield from items(pieces)
    except BrokenJson as broken:
        raise NotAPlaylist(
            place, f"its list of {what} {broken}", "check what the provider sends"
        ) from broken


def _category(item: dict[str, Any]) -> str:
    category = _text(item.get("category_id"))
    several = item.get("category_ids")
    if not category and isinstance(several, list) and several:
        return _text(several[0])
    return category


def _extension(formats: object) -> str:
    if isinstance(formats, list) and "ts" not in formats and "m3u8" in formats:
        return "m3u8"
    return "ts"


def _text(value: object) -> str:
    if isinstance(value, str):
        return clean(value, NAME_CHARS_MAX)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:NAME_CHARS_MAX]
    return ""


def _whole(value: object) -> int | None:
    """A whole number that is none too large, however it is written."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        return None
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > _WHOLE_CHARS_MAX:
        return None
    return int(text)
