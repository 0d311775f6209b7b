"""Logos in force: from the cache, or fetched on their way there. Used on the event loop only.

Whoever asks for a logo waits for a logo, and for nothing else does anyone wait for one. A logo
that cannot be had is not asked for again for an hour, whoever wants it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Final, NamedTuple

import aiohttp
import structlog

from plexbridge.clock import Clock
from plexbridge.lineup.channels import Lineup
from plexbridge.logos.cache import DIGEST, LogoCache
from plexbridge.logos.index import LogoIndex, Wanted, logo_digest
from plexbridge.logos.pictures import media_type
from plexbridge.outbound import Outbound, OutboundFailed

_log = structlog.get_logger(__name__)

LOGO_BYTES_MAX: Final = 1024 * 1024
"""Logos have 2 to 200 KB; more is a photograph or an attack."""

FETCH_S: Final = 10.0
"""For the whole of one."""

WAIT_S: Final = 6.0
"""As long as an asker waits; the logo is fetched to its end all the same."""

FRESH_S: Final = 7 * 86_400.0
"""A logo is given for longer than that, and asked for again meanwhile."""

FAILED_S: Final = 3_600.0
"""After a failure."""

FAILED_KEPT: Final = 10_000

FETCHES_MAX: Final = 4
"""At once: a provider must not take us for an attack when a page with hundreds is opened."""

WAITING_MAX: Final = 500
"""To be fetched; a page of the channel list has a hundred."""


class Logo(NamedTuple):
    """A picture, as it is given."""

    body: bytes
    media_type: str
    etag: str


class LogosBusy(Exception):
    """It is on its way: ask again in some seconds."""


class Logos:
    """Gives logos by digest."""

    def __init__(
        self,
        outbound: Outbound,
        cache: LogoCache,
        *,
        clock: Clock,
        key: bytes,
        lineup: Callable[[], Lineup],
    ) -> None:
        self._outbound = outbound
        self._cache = cache
        self._clock = clock
        self._key = key
        self._lineup = lineup
        self._index = LogoIndex(Lineup.EMPTY, key)
        self._indexing = asyncio.Lock()
        self._disk = asyncio.Lock()
        self._room = asyncio.Semaphore(FETCHES_MAX)
        self._fetches: dict[str, asyncio.Task[Logo | None]] = {}
        self._failed: OrderedDict[str, float] = OrderedDict()
        """By digest: until when it is not asked for, on the monotonic clock."""

    async def open(self) -> None:
        """Find what is cached. Without a directory that can be used nothing is: that is said, and
        logos are fetched each time."""
        try:
            await asyncio.to_thread(self._cache.open)
        except OSError as error:
            _log.warning("Logos cannot be kept", why=error.strerror)

    async def close(self) -> None:
        """Give up what is on its way."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def digest(self, url: str) -> str:
        """What the logo at this URL is asked for by."""
        return logo_digest(url, self._key)

    async def get(self, digest: str) -> Logo | None:
        """The logo of this digest; None: there is none, or it cannot be had.

        Raises:
            LogosBusy: it is on its way.
        """
        if DIGEST.fullmatch(digest) is None:
            return None
        kept = await self._from_cache(digest)
        if kept is not None:
            logo, fresh = kept
            if not fresh:
                with suppress(LogosBusy):  # the kept one is good enough
                    await self._begin(digest)
            return logo
        fetch = self._fetches.get(digest) or await self._begin(digest)
        if fetch is None:
            return None
        done, _ = await asyncio.wait({fetch}, timeout=WAIT_S)
        if not done or fetch.cancelled():
            raise LogosBusy
        return fetch.result()

    async def _from_cache(self, digest: str) -> tuple[Logo, bool] | None:
        """A picture that is kept, and whether it is fresh."""
        async with self._disk:
            try:
                kept = await asyncio.to_thread(self._cache.read, digest)
            except OSError as error:
                _log.warning("A kept logo cannot be read", why=error.strerror, logo=digest)
                return None
        logo = None if kept is None else _logo(kept.body)
        if kept is None or logo is None:
            return None
        return logo, self._clock.now() / 1_000_000 - kept.at < FRESH_S

    async def _begin(self, digest: str) -> "asyncio.Task[Logo | None] | None":
        """Have a logo fetched; None: it is none of ours, or could not be had lately.

        Raises:
            LogosBusy: too many are waited for.
        """
        if self._failed.get(digest, 0.0) > self._clock.monotonic():
            return None
        wanted = await self._find(digest)
        if wanted is None:
            return None
        fetch = self._fetches.get(digest)
        if fetch is None:
            if len(self._fetches) >= WAITING_MAX:
                raise LogosBusy
            fetch = asyncio.create_task(self._fetch(digest, wanted), name="logo")
            self._fetches[digest] = fetch
            fetch.add_done_callback(lambda _: self._fetches.pop(digest, None))
        return fetch

    async def _find(self, digest: str) -> Wanted | None:
        async with self._indexing:
            lineup = self._lineup()
            if self._index.lineup is not lineup:
                self._index = await asyncio.to_thread(LogoIndex, lineup, self._key)
            return self._index.find(digest)

    async def _fetch(self, digest: str, wanted: Wanted) -> Logo | None:
        async with self._room:
            try:
                async with asyncio.timeout(FETCH_S):
                    body = await self._download(wanted)
                why = "" if _logo(body) is not None else "no picture of a form that is shown"
            except OutboundFailed as failed:
                body, why = b"", failed.detail
            except (TimeoutError, aiohttp.ClientError) as error:
                body, why = b"", type(error).__name__  # their texts hold the URL
        logo = _logo(body)
        if logo is None:
            _log.debug("A logo could not be had", logo=digest, why=why)
            self._failed[digest] = self._clock.monotonic() + FAILED_S
            self._failed.move_to_end(digest)
            if len(self._failed) > FAILED_KEPT:
                self._failed.popitem(last=False)
            return None
        async with self._disk:
            try:
                await asyncio.to_thread(self._cache.keep, digest, body)
            except OSError as error:
                _log.warning("A logo could not be kept", why=error.strerror, logo=digest)
        return logo

    async def _download(self, wanted: Wanted) -> bytes:
        """The body, cut off where it is too long: then it is empty."""
        asked = await self._outbound.ask(
            wanted.url, {"Accept": "image/*"}, from_public=wanted.from_public
        )
        async with asked.response as response:
            body = bytearray()
            while piece := await response.content.readany():
                body += piece
                if len(body) > LOGO_BYTES_MAX:
                    return b""
            return bytes(body)


def _logo(body: bytes) -> Logo | None:
    kind = media_type(body)
    if kind is None:
        return None
    return Logo(body, kind, f'"{blake2b(body, digest_size=8).hexdigest()}"')
