"""What may be shown of a URL, and how two URLs are told apart without showing either.

A provider's URL is a login in one of four places: before the `@`, in the query, in the path
(`/live/USER/PASS/123.ts`, `/USER/PASS/123`, `/play/TOKEN/ts`), or as the whole path (a short link).
No rule can tell a token from a word, so the rule is the other way round: only what is known to be
harmless is shown. That is scheme, host and port, the words below, stream numbers at the end of a
path, file extensions and the names of query parameters. What is lost to the eye, `digest` tells.
"""

import re
from functools import lru_cache
from hashlib import blake2b

MASK = "***"

QUERY_NAMES_MAX = 8
"""More names than this are not shown: a redacted URL stays one short word in a line."""

HEADS_KEPT = 64
"""One account's URLs differ in their last segment only: what is before it is masked once."""

_HEAD = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/]*@)?(?P<host>[^/@]*)(?P<path>.*)",
    re.IGNORECASE | re.DOTALL,
)
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])?(?::[0-9]{1,5})?")
_QUERY_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,23}")
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}", re.ASCII)

_FIRST_WORDS = frozenset(
    (
        "api",
        "auto",
        "channel",
        "channels",
        "hls",
        "iptv",
        "live",
        "movie",
        "play",
        "playlist",
        "rtp",
        "series",
        "stream",
        "streaming",
        "streams",
        "timeshift",
        "tv",
        "udp",
    )
)
_LAST_WORDS = _FIRST_WORDS | frozenset(
    (
        "chunklist",
        "get",
        "index",
        "lineup",
        "master",
        "mono",
        "mpegts",
        "player_api",
        "ts",
        "video",
        "xmltv",
    )
)
_BOTH = re.compile(r"(?P<stem>[^.]*)(?P<extension>\.[^.]*)?")


def redact(url: str) -> str:
    """What may be shown of `url`. Anything without a scheme is a file's path and is shown whole."""
    if "://" not in url or url[:5].lower() == "file:":
        return url
    location, question, query = url.partition("#")[0].partition("?")
    head, slash, end = location.rpartition("/")
    if head.endswith(":/"):  # no path: that slash is the scheme's
        shown = _redacted_head(location)
    else:
        shown = f"{_redacted_head(head)}{slash}{_redacted_end(end)}"
    return f"{shown}?{_redacted_query(query)}" if question else shown


def digest(url: str, key: bytes) -> str:
    """Keyed digest of a URL: 16 hex digits. Without the key no list of guesses finds the URL."""
    return blake2b(url.encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()


@lru_cache(maxsize=HEADS_KEPT)
def _redacted_head(head: str) -> str:
    """Everything before the last segment of the path."""
    parts = _HEAD.fullmatch(head)
    if parts is None:
        return MASK
    scheme, host, path = parts.group("scheme", "host", "path")
    segments = path.split("/")  # begins with an empty one
    shown = [MASK if segment else "" for segment in segments]
    if len(segments) > 1 and segments[1].lower() in _FIRST_WORDS:
        shown[1] = segments[1]
    return f"{scheme.lower()}://{host if _HOST.fullmatch(host) else MASK}{'/'.join(shown)}"


def _redacted_end(segment: str) -> str:
    if not segment:
        return ""
    parts = _BOTH.fullmatch(segment)
    if parts is None:  # more than one dot
        return MASK
    stem, extension = parts.group("stem"), parts.group("extension") or ""
    if _EXTENSION.fullmatch(extension) is None:
        extension = ""
    if _NUMBER.fullmatch(stem) or stem.lower() in _LAST_WORDS:
        return stem + extension
    return MASK + extension


def _redacted_query(query: str) -> str:
    pairs = query.split("&", QUERY_NAMES_MAX)
    shown = []
    for pair in pairs[:QUERY_NAMES_MAX]:
        name, equals, _ = pair.partition("=")
        shown.append(f"{name}={MASK}" if equals and _QUERY_NAME.fullmatch(name) else MASK)
    if len(pairs) > QUERY_NAMES_MAX:
        shown.append("…")
    return "&".join(shown)
