"""The bytes of a playlist to a file that a worker can read: from over HTTP, or the very file that
was named; or the answer that nothing is new.

Knows places, their limits, and how to ask whether anything changed. Knows nothing of what the bytes
mean. Files are touched in a thread.
"""

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp

from plexbridge.lineup.decoding import BODY_BYTES_MAX
from plexbridge.lineup.errors import PlaylistUnreadable
from plexbridge.lineup.guide.download import Validators
from plexbridge.lineup.redact import redact
from plexbridge.outbound import Kind, Outbound, OutboundFailed

TOTAL_TIMEOUT_S = 60.0
"""For the whole of a playlist over HTTP. Panels take up to half a minute to write a long list."""

_WRITE_BYTES = 1024 * 1024
_MODE = 0o600
_VALIDATOR_CHARS_MAX = 500

_HTTP_REMEDIES = {
    401: "check the login in its URL",
    403: "check the login in its URL, and whether the account is active",
    404: "check its URL",
    429: "the provider wants fewer requests: try again later",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole body, and what its place said of it."""

    path: Path
    size_bytes: int
    validators: Validators
    from_public: bool = False
    """Whether what it names was named by a public host."""


class PlaylistFetcher:
    """Reads playlists. `outbound` carries what must hold for every request the bridge makes."""

    def __init__(
        self,
        outbound: Outbound,
        *,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._outbound = outbound
        self._total_timeout_s = total_timeout_s
        self._bytes_max = bytes_max

    async def fetch(
        self, location: str, into: Path, known: Validators, headers: Mapping[str, str]
    ) -> Fetched | None:
        """The playlist at `location`: a path, a `file:` URL or an http(s) URL. What comes over HTTP
        is written to `into`. None: it is the one that `known` is of.

        Raises:
            PlaylistUnreadable: nothing, or not all of it, could be had.
        """
        place = redact(location)
        scheme = location.partition("://")[0].lower() if "://" in location else ""
        if scheme in ("http", "https"):
            return await self._fetch_http(location, place, into, known, headers)
        if scheme not in ("", "file"):
            raise PlaylistUnreadable(
                place, f"{scheme}:// is not a place to read from", "give a path or an http(s) URL"
            )
        path = _path_of(location, place) if location[:5].lower() == "file:" else location
        found = await asyncio.to_thread(_look, path, place, self._bytes_max)
        return None if found.validators == known else found

    async def _fetch_http(
        self, url: str, place: str, into: Path, known: Validators, headers: Mapping[str, str]
    ) -> Fetched | None:
        try:
            async with asyncio.timeout(self._total_timeout_s):
                response, from_public = await self._outbound.ask(
                    url, {"Accept-Encoding": "gzip", **headers, **known.headers}
                )
                async with response:
                    size = await self._write(response, place, into)
                    return Fetched(into, size, validators_of(response), from_public)
        except OutboundFailed as failed:
            if failed.status == 304 and known.headers:
                return None
            failure = unreadable(place, failed)
        except TimeoutError:
            failure = PlaylistUnreadable(
                place, f"not complete after {self._total_timeout_s:g} s", "try again later"
            )
        except aiohttp.ClientError:
            failure = PlaylistUnreadable(
                place, "the connection broke before its end", "try again later"
            )
        raise failure  # outside the handler: aiohttp's errors hold the whole URL

    async def _write(self, response: aiohttp.ClientResponse, place: str, into: Path) -> int:
        await asyncio.to_thread(_create, into, place)
        count = 0
        waiting = bytearray()
        while True:
            piece = await response.content.readany()
            waiting += piece
            count += len(piece)
            if count > self._bytes_max:
                raise _too_big(place, self._bytes_max)
            if len(waiting) >= _WRITE_BYTES or not piece:
                await asyncio.to_thread(_append, into, bytes(waiting), place)
                waiting.clear()
            if not piece:
                return count


def validators_of(response: aiohttp.ClientResponse) -> Validators:
    """What an answer says of itself, to be asked next time whether there is another."""

    def said(name: str) -> str:
        value = response.headers.get(name, "")
        return value if len(value) <= _VALIDATOR_CHARS_MAX and value.isprintable() else ""

    return Validators(said("ETag"), said("Last-Modified"))


def _path_of(url: str, place: str) -> str:
    """The path of a `file:` URL, which names this machine or none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise PlaylistUnreadable(place, "not a file: URL", "check it, or give the path") from error
    if parts.netloc not in ("", "localhost"):
        raise PlaylistUnreadable(place, "a file: URL of another machine", "mount it, or use http")
    return unquote(parts.path)


def _look(path: str, place: str, bytes_max: int) -> Fetched:
    """A file that can be read, and what tells it from a later one at the same path."""
    try:
        # Without waiting: opening a pipe nobody writes to would hold this thread for ever.
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise _no_file(place, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise PlaylistUnreadable(place, "is not a file", "give the path of a file")
    if status.st_size > bytes_max:
        raise _too_big(place, bytes_max)
    seen = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
    return Fetched(Path(path), status.st_size, Validators(etag=seen))


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _create(path: Path, place: str) -> None:
    """An empty file. It is opened anew for each piece: a cancelled download must not leave an open
    one in a thread."""
    try:
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
    except OSError as error:
        raise _no_room(place, error) from error


def _append(path: Path, body: bytes, place: str) -> None:
    try:
        with path.open("ab") as file:
            file.write(body)
    except OSError as error:
        raise _no_room(place, error) from error


def _no_room(place: str, error: OSError) -> PlaylistUnreadable:
    return PlaylistUnreadable(
        place, f"cannot be kept: {error.strerror}", "check the disk of the data directory"
    )


def _no_file(place: str, error: OSError | ValueError) -> PlaylistUnreadable:
    match error:
        case FileNotFoundError():
            return PlaylistUnreadable(place, "no such file", "check the path")
        case PermissionError():
            return PlaylistUnreadable(
                place, "permission denied", "let the user that runs the bridge read it"
            )
        case OSError(errno=errno.EISDIR):
            return PlaylistUnreadable(place, "is a directory", "give the path of a file")
        case OSError(strerror=str() as words):
            return PlaylistUnreadable(place, words, "check the path and the disk")
        case _:
            return PlaylistUnreadable(place, "not a path", "check the path")


def _too_big(place: str, bytes_max: int) -> PlaylistUnreadable:
    return PlaylistUnreadable(
        place,
        f"more than {bytes_max / 2**20:g} MiB",
        "ask the provider for live channels only",
    )


_Words = Callable[[OutboundFailed], tuple[str, str]]

_FAULTS: dict[Kind, _Words] = {
    "dns": lambda _: ("its host name is not known", "check the URL and the network"),
    "refused": lambda _: ("its host does not answer there", "check the URL, or try again later"),
    "timeout": lambda _: ("its host does not answer in time", "try again later"),
    "tls": lambda _: ("its certificate or encryption is not valid", "check the URL's scheme"),
    "forbidden": lambda _: (
        "its address may not be reached",
        "name its network in PLEXBRIDGE_UPSTREAM_ALLOW if you trust it",
    ),
    "redirect_loop": lambda _: ("it redirects without end", "check the URL"),
    "reset": lambda _: ("its host closed the connection", "try again later"),
    "protocol": lambda _: ("the URL or the answer is not HTTP", "check the URL"),
    "http_status": lambda failed: (
        f"HTTP status {failed.status}",
        _HTTP_REMEDIES.get(failed.status or 0, "check its URL, or try again later"),
    ),
}


def unreadable(place: str, failed: OutboundFailed) -> PlaylistUnreadable:
    """A request that failed, in the words of a playlist."""
    fault, remedy = _FAULTS[failed.kind](failed)
    return PlaylistUnreadable(
        place, fault, remedy, status=failed.status, retry_after_s=failed.retry_after_s
    )
