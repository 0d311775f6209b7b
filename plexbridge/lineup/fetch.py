"""The bytes of a playlist, from a file or over HTTP: all of them, or a typed error.

Knows places and their limits, and nothing of what the bytes mean. Files are read in a thread.
"""

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import aiohttp

from plexbridge.lineup.decoding import BODY_BYTES_MAX
from plexbridge.lineup.errors import PlaylistUnreadable
from plexbridge.lineup.redact import redact
from plexbridge.outbound import Kind, Outbound, OutboundFailed

TOTAL_TIMEOUT_S = 60.0
"""For the whole of a playlist over HTTP. Panels take up to half a minute to write a long list."""

_CHUNK_BYTES = 256 * 1024

_HEADERS = {"Accept-Encoding": "gzip"}

_HTTP_REMEDIES = {
    401: "check the login in its URL",
    403: "check the login in its URL, and whether the account is active",
    404: "check its URL",
    429: "the provider wants fewer requests: try again later",
}


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

    async def read(self, location: str) -> bytes:
        """The playlist at `location`: a path, a `file:` URL or an http(s) URL.

        Raises:
            PlaylistUnreadable: nothing, or not all of it, could be had.
        """
        place = redact(location)
        scheme = location.partition("://")[0].lower() if "://" in location else ""
        if scheme in ("http", "https"):
            return await self._read_http(location, place)
        if scheme == "" and not location.lower().startswith("file:"):
            return await asyncio.to_thread(_read_file, location, place, self._bytes_max)
        if scheme in ("", "file"):
            path = _path_of(location, place)
            return await asyncio.to_thread(_read_file, path, place, self._bytes_max)
        raise PlaylistUnreadable(
            place, f"{scheme}:// is not a place to read from", "give a path or an http(s) URL"
        )

    async def _read_http(self, url: str, place: str) -> bytes:
        try:
            async with asyncio.timeout(self._total_timeout_s):
                response = await self._outbound.get(url, _HEADERS)
                async with response:
                    return await self._read_body(response, place)
        except OutboundFailed as failed:
            failure = _unreadable(place, failed)
        except TimeoutError:
            failure = PlaylistUnreadable(
                place, f"not complete after {self._total_timeout_s:g} s", "try again later"
            )
        except aiohttp.ClientError:
            failure = PlaylistUnreadable(
                place, "the connection broke before its end", "try again later"
            )
        raise failure  # outside the handler: aiohttp's errors hold the whole URL

    async def _read_body(self, response: aiohttp.ClientResponse, place: str) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._bytes_max:
                raise _too_big(place, self._bytes_max)
        return bytes(body)


def _path_of(url: str, place: str) -> str:
    """The path of a `file:` URL, which names this machine or none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise PlaylistUnreadable(place, "not a file: URL", "check it, or give the path") from error
    if parts.netloc not in ("", "localhost"):
        raise PlaylistUnreadable(place, "a file: URL of another machine", "mount it, or use http")
    return unquote(parts.path)


def _read_file(path: str, place: str, bytes_max: int) -> bytes:
    try:
        # Without waiting: opening a pipe nobody writes to would hold this thread for ever.
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PlaylistUnreadable(place, "is not a file", "give the path of a file")
            body = file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise _no_file(place, error) from error
    if len(body) > bytes_max:
        raise _too_big(place, bytes_max)
    return body


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


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


def _unreadable(place: str, failed: OutboundFailed) -> PlaylistUnreadable:
    fault, remedy = _FAULTS[failed.kind](failed)
    return PlaylistUnreadable(
        place, fault, remedy, status=failed.status, retry_after_s=failed.retry_after_s
    )
