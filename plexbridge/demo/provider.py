"""The pretend provider: an HTTP server on loopback with a playlist, an Xtream account, a guide and
nine live channels: most plain, one by HLS, two with trouble that comes by the clock.

Knows what is offered at which path. Refuses to know the bridge: to it, this is a provider like any
other. Position in the programme is wall time, so that a restart goes on where it was.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence
from importlib import resources

import orjson

from plexbridge.clock import Clock
from plexbridge.demo.channels import CHANNELS, TO_TRY_OUT, Channel, Way
from plexbridge.demo.connection import Connection, Document
from plexbridge.demo.guide import guide, playlist, upstream_paths
from plexbridge.demo.hls import media_playlist, segment
from plexbridge.demo.loop import TICKS_PER_SECOND, LoopingClip
from plexbridge.demo.trouble import down_for_s, silent_for_s
from plexbridge.demo.viewers import Viewers, Viewing, never
from plexbridge.demo.xtream import PASSWORD, USER, live_path, player_api

_HOST = "127.0.0.1"
_BURST_90K = TICKS_PER_SECOND
"""What a viewer gets at once beyond the last key frame: enough for a player to start showing."""


class DemoProvider:
    """Serves until closed. One per bridge; all methods on the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._channels = (*CHANNELS, *TO_TRY_OUT)
        self._live: dict[str, Channel] = {}
        self._hls: dict[str, Channel] = {}
        for channel in self._channels:
            self._live[live_path(channel)] = channel
            paths = self._hls if channel.way is Way.HLS else self._live
            paths |= dict.fromkeys(upstream_paths(channel), channel)
        self._clips: dict[int, LoopingClip] = {}
        self._server: asyncio.Server | None = None
        self._base_url: str | None = None
        self._connections: set[Connection] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._viewers = Viewers()
        self._documents: dict[str, Callable[[], Document]] = {
            "/playlist.m3u": self._playlist,
            "/guide.xml": self._guide,
            "/xmltv.php": self._guide,
            "/stats": self._stats,
        }

    async def start(self) -> str:
        """Listen on a free port of loopback; returns the base URL, without a slash at its end.

        Raises:
            ClipUnusable, OSError: the clips of this installation are damaged or missing, or
                loopback gives no port.
        """
        assert self._server is None, "started once"
        self._clips = await asyncio.to_thread(_load_clips, self._channels)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), _HOST, 0)
        port = self._server.sockets[0].getsockname()[1]
        self._base_url = f"http://{_HOST}:{port}"
        return self._base_url

    async def close(self) -> None:
        """Stop listening and end every connection; returns when the sockets are gone."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._all_gone.wait()
        await server.wait_closed()

    @property
    def base_url(self) -> str:
        """Where it listens, once started."""
        assert self._base_url is not None, "asked before start"
        return self._base_url

    @property
    def playlist_url(self) -> str:
        """What a person would enter as a playlist."""
        return f"{self.base_url}/playlist.m3u"

    @property
    def account_location(self) -> str:
        """What a person would enter as an Xtream account."""
        return self.base_url.replace("http://", f"xtream+http://{USER}:{PASSWORD}@", 1)

    @property
    def guide_url(self) -> str:
        """What a person would enter as a guide."""
        return f"{self.base_url}/guide.xml"

    @property
    def open_connections(self) -> int:
        """Viewers at this moment, as a provider counts them: GETs of a live channel."""
        return self._viewers.total.open

    def entered(self, connection: Connection) -> None:
        """A connection was accepted."""
        self._connections.add(connection)
        self._all_gone.clear()
        if self._server is None:
            connection.abort()

    def left(self, connection: Connection) -> None:
        """A connection's socket is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    def document(self, path: str, query: str) -> Document | None:
        """What stands at a path, if it is not a live channel."""
        if path == "/player_api.php":
            return Document("application/json", player_api(self._channels, query))
        if path.startswith(f"/{Way.HLS}/"):
            return self._hls_document(path)
        make = self._documents.get(path)
        return make() if make is not None else None

    def is_live(self, path: str) -> bool:
        """Whether a live channel is at this path."""
        return path in self._live

    def is_down(self, path: str) -> bool:
        """Whether there is nothing to be had of it at the moment."""
        return _fails(path) and down_for_s(self._clock.now() / 1_000_000) > 0

    def watch(self, path: str) -> Viewing:
        """Count a viewer in and give the programme from this moment on."""
        channel = self._live[path]
        now_90k = self._now_90k()
        pieces = self._clips[channel.number].play(now_90k - _BURST_90K)
        self._viewers.enter(channel)
        leave = functools.partial(self._viewers.leave, channel)
        return Viewing(
            pieces,
            self._clock,
            now_90k,
            leave,
            silent_for_s=silent_for_s if path.startswith(f"/{Way.STALLS}/") else never,
            down_for_s=down_for_s if _fails(path) else never,
        )

    def _hls_document(self, path: str) -> Document | None:
        """A list, or one of its segments: `/hls/7.m3u8`, `/hls/7/123.ts`."""
        if (channel := self._hls.get(path)) is not None:
            clip = self._clips[channel.number]
            text = media_playlist(clip, self._now_90k(), str(channel.number))
            return Document("application/vnd.apple.mpegurl", text.encode())
        folder, _, name = path.removesuffix(".ts").rpartition("/")
        channel = self._hls.get(f"{folder}.m3u8")
        if channel is None or not name.isascii() or not name.isdigit():
            return None
        body = segment(self._clips[channel.number], self._now_90k(), int(name[:12]))
        return None if body is None else Document("video/mp2t", body)

    def _now_90k(self) -> int:
        return self._clock.now() * TICKS_PER_SECOND // 1_000_000

    def _playlist(self) -> Document:
        text = playlist(self._channels, self.base_url)
        return Document("audio/x-mpegurl; charset=utf-8", text.encode())

    def _guide(self) -> Document:
        text = guide(self._channels, self._clock.now())
        return Document("application/xml; charset=utf-8", text.encode())

    def _stats(self) -> Document:
        return Document("application/json", orjson.dumps(self._viewers.figures(self._channels)))


def _fails(path: str) -> bool:
    return path.startswith(f"/{Way.FAILS}/")


def _load_clips(channels: Sequence[Channel]) -> dict[int, LoopingClip]:
    """Read every channel's clip. Blocking."""
    clips = resources.files("plexbridge.demo").joinpath("clips")
    return {
        channel.number: LoopingClip(clips.joinpath(channel.clip_name).read_bytes())
        for channel in channels
    }
