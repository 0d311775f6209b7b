"""Opens upstreams through ffmpeg: by their URL, or fed with what we fetch ourselves.

Knows which addresses may be asked, how often a child may be started anew, and how to start one.
Nothing of readers or of what comes next.

The address is checked before the child starts, as `reachable` has it. Names are resolved here for
the check and by ffmpeg again for itself; that ffmpeg is then led elsewhere (another answer of the
name server, a redirect, a manifest with other hosts) is what remains of trust in a provider that
needs ffmpeg. The protocols it may speak are listed by kind, and a local file is never one.

UDP and RTP differ: their address is where we listen. A multicast group is joined, not asked; it may
be any but those of the local link's own housekeeping (224.0.0.0/24, RFC 5771; ff01 and ff02,
RFC 4291). No host, as in `udp://@:5000`, is any address of this machine. Everything else is a host
like any other. For all other kinds multicast stays refused.
"""

import asyncio
import os
import ssl
import subprocess
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from plexbridge.clock import Clock
from plexbridge.reachable import Address, AddressForbidden, OutboundPolicy
from plexbridge.relay.child.body import ChildBody
from plexbridge.relay.child.command import (
    BadUpstream,
    Kind,
    fed_command,
    kind_of,
    place_of,
    read_command,
)
from plexbridge.relay.child.feeding import Feeding
from plexbridge.relay.child.intensity import RestartIntensity
from plexbridge.relay.child.pipes import PIPE_BYTES, WritingEnd, make_pipe
from plexbridge.relay.child.process import Spawned, Spawner
from plexbridge.relay.child.said import Said, secret_parts
from plexbridge.relay.child.spawning import FfmpegMissing
from plexbridge.relay.child.words import FFMPEG_FORBIDDEN, FFMPEG_MISSING, FFMPEG_NOT_STARTED
from plexbridge.relay.ports import Upstream, UpstreamFailed, UpstreamReceiver

RESOLVE_S_MAX: Final = 3.0
"""Of a name look-up: what `outbound` grants look-up and connection together."""

RECORDS_MAX: Final = 1_000
"""Upstreams whose child broke and was not started since; the oldest is forgotten."""

_HOUSEKEEPING: Final = (
    IPv4Network("224.0.0.0/24"),
    IPv6Network("ff01::/16"),
    IPv6Network("ff02::/16"),
)


class ChildConnector:
    """A `Connector` for what `handles` names. One for the process; used on the event loop only."""

    def __init__(
        self,
        spawner: Spawner,
        policy: OutboundPolicy,
        clock: Clock,
        *,
        ca_file: str | None = None,
    ) -> None:
        """`ca_file`: see `system_ca_file`."""
        self._spawner = spawner
        self._policy = policy
        self._clock = clock
        self._ca_file = ca_file
        self._restarts: OrderedDict[str, RestartIntensity] = OrderedDict()
        self._broken: set[str] = set()

    @staticmethod
    def handles(url: str) -> bool:
        """Whether this URL is read through ffmpeg."""
        return kind_of(url) is not None

    @property
    def children(self) -> int:
        """How many children are alive, those of others who share the spawner included."""
        return self._spawner.children

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> ChildBody:
        """Start a child; it is open when it delivers its first bytes.

        Cancelled, it returns when the child is gone: within 2 s.

        Raises:
            UpstreamFailed: `ffmpeg_error` (`ffmpeg_missing`, `ffmpeg_forbidden_address`,
                `ffmpeg_exited_1`, or what the provider answered), `process_closed`,
                `restart_failed` (`ffmpeg_restarts_exhausted`, with the pause that is due).
        """
        kind = kind_of(upstream.url)
        assert kind is not None, "only what it handles is opened"
        try:
            host = place_of(upstream.url).host
            command = read_command(kind, upstream.url, upstream.headers, ca_file=self._ca_file)
        except BadUpstream as bad:
            failure = UpstreamFailed("ffmpeg_error", str(bad))
        else:
            await self._check(kind, host)
            self._count_restart(upstream)
            with _Pipes(1) as pipes:
                pipes.ends[0].write(command.script)
                pipes.ends[0].finish()
                spawned = await self._spawn(command.arguments, upstream, stdin=pipes.theirs[0])
            body = self._body(spawned, upstream, receiver, silence_ms=kind.silence_ms)
            return await _opened(body)
        raise failure

    async def open_fed(
        self,
        feeds: Sequence[AsyncIterator[bytes]],
        upstream: Upstream,
        receiver: UpstreamReceiver,
        *,
        silence_ms: int = 0,
    ) -> ChildBody:
        """Start a child that joins what these one or two feeds bring (picture, then sound) to
        MPEG-TS. It takes them over once it has started, and closes them with itself.

        A feed may raise `UpstreamFailed`: that is then why the body ends. When all feeds end and
        the child finishes well, the body was a finite one.

        Raises:
            UpstreamFailed: as `open`.
        """
        self._count_restart(upstream)
        with _Pipes(len(feeds)) as pipes:
            theirs = tuple(pipes.theirs)
            spawned = await self._spawn(fed_command(theirs), upstream, pass_fds=theirs)
        body: ChildBody | None = None

        def failed(failure: UpstreamFailed) -> None:
            assert body is not None, "a task begins after this one has waited"
            body.fail(failure)

        feeding = Feeding(list(zip(feeds, pipes.ends, strict=True)), failed)
        body = self._body(spawned, upstream, receiver, silence_ms=silence_ms, feeding=feeding)
        return await _opened(body)

    def _body(
        self,
        spawned: Spawned,
        upstream: Upstream,
        receiver: UpstreamReceiver,
        *,
        silence_ms: int,
        feeding: Feeding | None = None,
    ) -> ChildBody:
        return ChildBody(
            spawned,
            receiver,
            shown=upstream.redacted,
            broke=lambda: self._note_broken(upstream.digest),
            silence_ms=silence_ms,
            feeding=feeding,
        )

    async def _spawn(
        self,
        arguments: tuple[str, ...],
        upstream: Upstream,
        *,
        stdin: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> Spawned:
        said = Said(secret_parts(upstream.url, upstream.headers))
        try:
            return await self._spawner.spawn(arguments, said, stdin=stdin, pass_fds=pass_fds)
        except FfmpegMissing:
            failure = UpstreamFailed("ffmpeg_error", FFMPEG_MISSING)
        except OSError:
            failure = UpstreamFailed("ffmpeg_error", FFMPEG_NOT_STARTED)
        raise failure

    async def _check(self, kind: Kind, host: str) -> None:
        if not host:
            if kind.datagrams:
                return
            raise UpstreamFailed("ffmpeg_error", "ffmpeg_bad_url")
        for address in await _addresses_of(host):
            if kind.datagrams and (address.is_unspecified or _is_group(address)):
                continue
            try:
                self._policy.check(address)
            except AddressForbidden:
                raise UpstreamFailed("ffmpeg_error", FFMPEG_FORBIDDEN) from None

    def _count_restart(self, upstream: Upstream) -> None:
        """Whether the last child broke, this start is a restart, and within the intensity."""
        digest = upstream.digest
        if digest not in self._broken:
            return
        now = self._clock.monotonic()
        intensity = self._restarts.setdefault(digest, RestartIntensity())
        if not intensity.allow(now):
            raise UpstreamFailed(
                "restart_failed", "ffmpeg_restarts_exhausted", retry_after_s=intensity.wait_s(now)
            )
        self._broken.remove(digest)

    def _note_broken(self, digest: str) -> None:
        self._broken.add(digest)
        self._restarts.setdefault(digest, RestartIntensity())
        self._restarts.move_to_end(digest)
        while len(self._restarts) > RECORDS_MAX:
            forgotten, _ = self._restarts.popitem(last=False)
            self._broken.discard(forgotten)


class _Pipes:
    """Pipes into a child that is about to start: its ends are closed when it has, ours when it has
    not."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.theirs: list[int] = []
        self.ends: list[WritingEnd] = []

    def __enter__(self) -> "_Pipes":
        try:
            for _ in range(self._count):
                reading, writing = make_pipe(size_bytes=PIPE_BYTES)
                self.theirs.append(reading)
                self.ends.append(WritingEnd(writing))
        except OSError:
            self._close(started=False)
            failure = UpstreamFailed("ffmpeg_error", FFMPEG_NOT_STARTED)
        else:
            return self
        raise failure

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(started=kind is None)

    def _close(self, *, started: bool) -> None:
        for fd in self.theirs:
            os.close(fd)
        if not started:
            for end in self.ends:
                end.close()


async def _opened(body: ChildBody) -> ChildBody:
    """The body, once there is something to read."""
    try:
        begun = await body.first
    except asyncio.CancelledError:
        body.close()
        await asyncio.wait([body.closed])
        raise
    if not begun:
        body.close()
        await asyncio.wait([body.closed])
        raise body.why() or UpstreamFailed("stream_failed", "upstream_eof")
    body.begin()
    return body


def _is_group(address: Address) -> bool:
    """Whether it is a multicast group that carries programmes."""
    return address.is_multicast and not any(address in network for network in _HOUSEKEEPING)


async def _addresses_of(host: str) -> list[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        pass  # a name, or a number in one of the forms that only a resolver knows
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S_MAX):
            found = await loop.getaddrinfo(host, None)
    except TimeoutError:
        failure = UpstreamFailed("timeout", "upstream_dns")
    except (OSError, UnicodeError):
        failure = UpstreamFailed("stream_failed", "upstream_dns")
    else:
        return [ip_address(str(sockaddr[0])) for *_, sockaddr in found]
    raise failure


def system_ca_file() -> str | None:
    """Where the system keeps the certificates of authorities, for ffmpeg builds that do not look
    there by themselves. Reads the disk."""
    return ssl.get_default_verify_paths().cafile
