"""A preview made playable for browsers: between the relay and a player's connection, one ffmpeg.

Knows one child's two pipes and how many may run at once. To the relay it is a player (a `Sink`),
to the player's connection it is a relay; of sessions and HTTP it knows nothing. What counts as
accepted is what the player's socket took of the transcoded stream.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from events.commands import Progress
from events.ids import ConnectionId
from events.payloads import EndData
from plexbridge.control.viewers import Viewer
from plexbridge.relay.child.command import transcode_command
from plexbridge.relay.child.pipes import PIPE_BYTES, ReadingEnd, WritingEnd, make_pipe
from plexbridge.relay.child.process import Child, Spawner
from plexbridge.relay.child.said import Said
from plexbridge.relay.child.spawning import FfmpegMissing
from plexbridge.relay.child.words import FFMPEG_MISSING, FFMPEG_NOT_STARTED, exit_word
from plexbridge.relay.ports import Sink

TRANSCODES_MAX: Final = 3
"""Each takes a good part of a processor; the relays beside them need none of it taken away."""


class TranscodesInUse(Exception):
    """As many previews as may be are being transcoded."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} previews are being transcoded, and no more may be at once")
        self.limit = limit


class Transcodes:
    """The places for transcoding. One for the process; used on the event loop only."""

    def __init__(self, spawner: Spawner, *, limit: int = TRANSCODES_MAX) -> None:
        self._spawner = spawner
        self._limit = limit
        self._taken: set[Transcode] = set()

    @property
    def in_use(self) -> int:
        """Places taken: a place is free again when its child is gone. A gauge."""
        return len(self._taken)

    def take(self) -> "Transcode":
        """A place; to be closed in any case.

        Raises:
            TranscodesInUse: with the limit.
        """
        if len(self._taken) >= self._limit:
            raise TranscodesInUse(self._limit)
        transcode = Transcode(self._spawner, self._taken.discard)
        self._taken.add(transcode)
        return transcode


class Transcode:
    """A relay's `Sink` whose bytes reach the player's own through a child."""

    def __init__(self, spawner: Spawner, freed: Callable[["Transcode"], None]) -> None:
        self.on_writable: Callable[[], None] | None = None
        """See `Sink`."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolves when the place is free again."""
        self._spawner = spawner
        self._freed = freed
        self._player: Sink | None = None
        self._failed: Callable[[str], None] = lambda word: None
        self._in: WritingEnd | None = None
        self._out: ReadingEnd | None = None
        self._child: Child | None = None
        self._starting: asyncio.Task[None] | None = None
        self._closing = False

    def begin(self, player: Sink, failed: Callable[[str], None]) -> None:
        """Transcode what is written from now on, into `player`. Returns at once: the child starts
        meanwhile, and its pipe holds what comes before.

        `failed` is called once, with a word of the log, when the transcoding ends other than by
        `close`: `ffmpeg_missing`, `transcode_ffmpeg_exited_1`, …
        """
        assert self._starting is None, "a place is used once"
        assert not self._closing, "a place that was given back is not used"
        self._player = player
        self._failed = failed
        player.on_writable = self._player_writable
        self._starting = asyncio.get_running_loop().create_task(self._start(), name="transcode")
        self._starting.add_done_callback(self._start_ended)

    @property
    def writable(self) -> bool:
        """See `Sink`."""
        return self._in is not None and self._in.writable

    def write(self, chunk: bytes | memoryview) -> None:
        """See `Sink`."""
        if self._in is not None:
            self._in.write(chunk)

    def fill(self, packets: bytes) -> None:
        """See `Sink`. Filler has nothing to transcode, and its tables are those of another
        programme than the player's."""

    def accepted(self) -> int:
        """See `Sink`: of the transcoded stream."""
        return 0 if self._player is None else self._player.accepted()

    def close(self) -> None:
        """End the child and write nothing more to the player. May be called again."""
        if self._closing:
            return
        self._closing = True
        if self._player is not None:
            self._player.on_writable = None
        if self._in is not None:
            self._in.on_writable = None
            self._in.close()
        if self._out is not None:
            self._out.close()
        if self._child is not None:
            self._child.terminate()
        elif self._starting is not None and not self._starting.done():
            self._starting.cancel()
        else:
            self._free()

    async def _start(self) -> None:
        reading, writing = make_pipe(size_bytes=PIPE_BYTES)
        self._in = WritingEnd(writing)
        self._in.on_writable = self._writable
        self._writable()
        try:
            spawned = await self._spawner.spawn(transcode_command(), Said(), stdin=reading)
        finally:
            os.close(reading)
        self._child = spawned.child
        self._child.gone.add_done_callback(self._gone)
        self._out = ReadingEnd(spawned.stdout, self._push, lambda: None)
        self._player_writable()

    def _start_ended(self, starting: asyncio.Task[None]) -> None:
        if self._child is not None:
            return
        word = None
        if not starting.cancelled() and (fault := starting.exception()) is not None:
            missing = isinstance(fault, FfmpegMissing)
            word = FFMPEG_MISSING if missing else FFMPEG_NOT_STARTED
        self._end(word)

    def _writable(self) -> None:
        """The child's pipe takes bytes again."""
        if self.on_writable is not None and not self._closing:
            self.on_writable()

    def _push(self, chunk: bytes) -> None:
        assert self._player is not None, "a child starts for a player"
        self._player.write(chunk)
        if not self._player.writable and self._out is not None:
            self._out.pause()

    def _player_writable(self) -> None:
        if self._out is not None:
            self._out.resume()

    def _gone(self, gone: "asyncio.Future[int]") -> None:
        if self._out is not None:
            self._out.drain()
        self._end(f"transcode_{exit_word(gone.result())}")

    def _end(self, word: str | None) -> None:
        told = self._closing
        self.close()
        self._free()
        if word is not None and not told:
            self._failed(word)

    def _free(self) -> None:
        self._freed(self)
        if not self.closed.done():
            self.closed.set_result(None)


class TranscodedViewer:
    """Control's `Viewer` for a transcoded preview: the relay's side is the transcode's, all else
    the player's own."""

    def __init__(self, viewer: Viewer, transcode: Transcode, failed: Callable[[str], None]) -> None:
        """`failed`: see `Transcode.begin`."""
        self._viewer = viewer
        self._transcode = transcode
        transcode.begin(viewer, failed)

    @property
    def on_writable(self) -> Callable[[], None] | None:
        """See `Sink`."""
        return self._transcode.on_writable

    @on_writable.setter
    def on_writable(self, callback: Callable[[], None] | None) -> None:
        self._transcode.on_writable = callback

    @property
    def writable(self) -> bool:
        """See `Sink`."""
        return self._transcode.writable

    def write(self, chunk: bytes | memoryview) -> None:
        """See `Sink`."""
        self._transcode.write(chunk)

    def fill(self, packets: bytes) -> None:
        """See `Sink`."""
        self._transcode.fill(packets)

    def accepted(self) -> int:
        """See `Sink`: of the transcoded stream."""
        return self._viewer.accepted()

    @property
    def connection(self) -> ConnectionId:
        """See `Viewer`."""
        return self._viewer.connection

    def progress(self) -> Progress:
        """See `Viewer`."""
        return self._viewer.progress()

    def acknowledging(self) -> bool:
        """See `Viewer`."""
        return self._viewer.acknowledging()

    def close(self, end: EndData) -> None:
        """See `Viewer`."""
        self._transcode.close()
        self._viewer.close(end)

    def supersede(self) -> None:
        """See `Viewer`."""
        self._transcode.close()
        self._viewer.supersede()
