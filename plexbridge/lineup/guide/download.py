"""A guide to a file that a worker can read: from over HTTP, or the very file that was named.

Knows places, their limits, and how to ask whether anything is new. Knows nothing of what is in it.
Files are touched in a thread.
"""

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp

from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.place import GuidePlace
from plexbridge.outbound import Kind, Outbound, OutboundFailed

HEAD_TIMEOUT_S: Final = 60.0
"""To the status line. Panels make the guide when they are asked: up to half a minute."""

IDLE_S: Final = 60.0
"""Without a byte of the body; some panels write as they go."""

TOTAL_S: Final = 3_600.0
"""For all of it: 1 GB in an hour is 2.4 Mbit/s."""

BYTES_MAX: Final = 2 * 1024**3
"""On the wire and on our disk: twice the largest guide known to us, uncompressed."""

_WRITE_BYTES: Final = 1024 * 1024
_MODE: Final = 0o600
_VALIDATOR_CHARS_MAX: Final = 500

_CHECK_URL: Final = "check its URL"
_LATER: Final = "try again later"
_FAULTS: Final[dict[Kind, tuple[str, str]]] = {
    "dns": ("its host name is not known", "check the URL and the network"),
    "refused": ("its host does not answer there", "check the URL, or try again later"),
    "timeout": ("its host does not answer in time", _LATER),
    "tls": ("its certificate or encryption is not valid", "check the URL's scheme"),
    "forbidden": (
        "its address may not be reached",
        "name its network in PLEXBRIDGE_UPSTREAM_ALLOW if you trust it",
    ),
    "redirect_loop": ("it redirects without end", _CHECK_URL),
    "reset": ("its host closed the connection", _LATER),
    "protocol": ("the URL or the answer is not HTTP", _CHECK_URL),
}
_STATUSES: Final = {
    401: "check the login in its URL",
    403: "check the login in its URL, and whether the account is active",
    404: _CHECK_URL,
    429: "the provider wants fewer requests: try again later",
}


@dataclass(frozen=True, slots=True)
class Validators:
    """What a place said of the guide it gave, to be asked whether there is another."""

    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The conditions of a request."""
        conditions = (("If-None-Match", self.etag), ("If-Modified-Since", self.modified))
        return {name: value for name, value in conditions if value}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole guide."""

    path: Path
    validators: Validators


class GuideFetcher:
    """Fetches guides. `outbound` carries what must hold for every request the bridge makes; its
    time to the status line should be `HEAD_TIMEOUT_S`."""

    def __init__(
        self,
        outbound: Outbound,
        *,
        idle_s: float = IDLE_S,
        total_s: float = TOTAL_S,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._outbound = outbound
        self._idle_s = idle_s
        self._total_s = total_s
        self._bytes_max = bytes_max

    async def fetch(self, place: GuidePlace, into: Path, known: Validators) -> Fetched | None:
        """The guide at `place` (a path, a `file:` URL or an http(s) URL), in `into` if it came
        over HTTP; None: it is the one that `known` is of.

        Raises:
            GuideFault: nothing, or not all of it, could be had.
        """
        location = place.location
        scheme = location.partition("://")[0].lower() if "://" in location else ""
        if scheme in ("http", "https"):
            return await self._fetch_http(place, into, known)
        if scheme not in ("", "file"):
            raise GuideFault(
                "unreadable", f"{scheme}:// is not a place to read from", "give a path or a URL"
            )
        path = Path(_path_of(location) if location[:5].lower() == "file:" else location)
        validators = Validators(etag=await asyncio.to_thread(_look, path))
        return None if validators == known else Fetched(path, validators)

    async def _fetch_http(self, place: GuidePlace, into: Path, known: Validators) -> Fetched | None:
        headers = {"Accept-Encoding": "gzip", **known.headers}
        try:
            async with asyncio.timeout(self._total_s):
                response, _ = await self._outbound.ask(
                    place.location, headers, from_public=place.from_public
                )
                async with response:
                    await self._write(response, into)
                    return Fetched(into, _validators(response))
        except OutboundFailed as failed:
            if failed.status == 304 and known.headers:
                return None
            fault = _fault(failed)
        except TimeoutError:
            fault = GuideFault("unreadable", "did not come in time", _LATER)
        except aiohttp.ClientError:
            fault = GuideFault("unreadable", "the connection broke before its end", _LATER)
        raise fault  # outside the handler: aiohttp's errors hold the whole URL

    async def _write(self, response: aiohttp.ClientResponse, into: Path) -> None:
        await asyncio.to_thread(_create, into)
        count = 0
        waiting = bytearray()
        while True:
            async with asyncio.timeout(self._idle_s):
                piece = await response.content.readany()
            waiting += piece
            count += len(piece)
            if count > self._bytes_max:
                raise GuideFault(
                    "refused",
                    f"is more than {self._bytes_max / 2**20:,.0f} MiB",
                    "ask for a smaller guide",
                )
            if len(waiting) >= _WRITE_BYTES or not piece:
                await asyncio.to_thread(_append, into, bytes(waiting))
                waiting.clear()
            if not piece:
                return


def _validators(response: aiohttp.ClientResponse) -> Validators:
    def said(name: str) -> str:
        value = response.headers.get(name, "")
        return value if len(value) <= _VALIDATOR_CHARS_MAX and value.isprintable() else ""

    return Validators(said("ETag"), said("Last-Modified"))


def _path_of(url: str) -> str:
    """The path of a `file:` URL, which names this machine or none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise GuideFault("unreadable", "not a file: URL", "check it, or give the path") from error
    if parts.netloc not in ("", "localhost"):
        raise GuideFault("unreadable", "a file: URL of another machine", "mount it, or use http")
    return unquote(parts.path)


def _look(path: Path) -> str:
    """What tells a file from a later one at the same path."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise GuideFault("unreadable", "is not a file", "give the path of a file")
        if not os.access(path, os.R_OK):
            raise GuideFault(
                "unreadable", "permission denied", "let the user that runs the bridge read it"
            )
    except FileNotFoundError as error:
        raise GuideFault("unreadable", "no such file", "check the path") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a path"
        raise GuideFault("unreadable", why, "check the path and the disk") from error
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _create(path: Path) -> None:
    """An empty file. It is opened anew for each piece: a cancelled download must not leave an open
    one in a thread."""
    try:
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
    except OSError as error:
        raise _no_room(error) from error


def _append(path: Path, body: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(body)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> GuideFault:
    return GuideFault("store", f"cannot be kept: {error.strerror}", "check the data directory")


def _fault(failed: OutboundFailed) -> GuideFault:
    if failed.kind == "http_status":
        remedy = _STATUSES.get(failed.status or 0, "check its URL, or try again later")
        fault = f"HTTP status {failed.status}"
    else:
        fault, remedy = _FAULTS[failed.kind]
    return GuideFault("unreadable", fault, remedy, retry_after_s=failed.retry_after_s)
