"""First checks for a person whose bridge does not do what it should.

Each looks at one thing, changes nothing, and says what to do. Knows the settings in force; prints
nothing.
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from events.codec import NewerLog
from events.ids import SourceId
from plexbridge.data_dir import LOG_FILE
from plexbridge.lineup.errors import LineupError
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.load import take_playlist
from plexbridge.lineup.redact import redact
from plexbridge.log.driver import SQLITE_VERSION, version_warning
from plexbridge.log.errors import CannotOpen, StorageFailed
from plexbridge.log.reader import SqliteReader
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.child.spawning import DEFAULT_PROGRAM
from plexbridge.server.listener import ListenFailed, PortTaken, open_listener
from plexbridge.settings import Origin, Settings

PLAYLIST_SECONDS_MAX: Final = 30.0
"""A person waits for the answer; the bridge itself waits longer."""

DEMO_CHANNELS: Final = 6

FFMPEG_SECONDS_MAX: Final = 10.0
"""For telling its version: from a cold disk it takes a second."""

FFMPEG_MAJOR_MIN: Final = 5
"""The first with `option` lines in ffconcat scripts: see `relay.child.command`."""

WITHOUT_FFMPEG: Final = (
    "RTSP, RTMP, SRT, UDP, DASH channels and transcoded previews will say so; everything else works"
)


class State(StrEnum):
    """How a check came out."""

    FINE = "fine"
    NOTE = "note"
    """Works; worth knowing."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one check says, in one line."""

    subject: str
    state: State
    text: str

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"subject": self.subject, "state": self.state, "text": self.text}


Ours = Callable[[], bool]
"""Whether a PlexBridge answers on the port, and not something else or nobody."""


def examine(settings: Settings, ours: Ours) -> list[Answer]:
    """Every check, in the order in which a start would meet the troubles. Blocks."""
    return [
        data_directory(settings.data_dir),
        event_log(settings.data_dir / LOG_FILE),
        sqlite(),
        port(settings, ours),
        *asyncio.run(playlists(settings)),
        ffmpeg(settings),
        demo_clips(),
        *settings_changed(settings),
    ]


def data_directory(path: Path) -> Answer:
    """Whether the bridge can keep its data there, or make the directory."""
    subject = "data directory"
    existing = next(one for one in (path, *path.parents) if one.exists())
    if not existing.is_dir():
        return Answer(subject, State.FAULT, f"{existing} is a file; name another with --data-dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        text = f"{existing} cannot be written by uid {os.getuid()}: change its owner"
        return Answer(subject, State.FAULT, text)
    if existing != path:
        return Answer(subject, State.NOTE, f"{path} is made at the first start")
    return Answer(subject, State.FINE, f"{path} can be written")


def event_log(path: Path) -> Answer:
    """Whether the log can be read by this version."""
    subject = "event log"
    if not path.exists():
        return Answer(subject, State.NOTE, "none yet: it begins at the first start")
    try:
        with closing(SqliteReader(path)) as reader:
            head = reader.head()
    except (CannotOpen, NewerLog, StorageFailed) as fault:
        return Answer(subject, State.FAULT, str(fault))
    text = f"{head.pos:,} events, {path.stat().st_size / 1e6:.1f} MB; `plexbridge audit` checks it"
    return Answer(subject, State.FINE, text)


def sqlite() -> Answer:
    """Whether the loaded SQLite has the fix of the WAL-reset bug."""
    warning = version_warning()
    if warning is not None:
        return Answer("SQLite", State.NOTE, warning)
    return Answer("SQLite", State.FINE, ".".join(map(str, SQLITE_VERSION)))


def port(settings: Settings, ours: Ours) -> Answer:
    """Whether the port is free, or has our own bridge on it."""
    subject = "port"
    if settings.port == 0:
        return Answer(subject, State.NOTE, "PORT is 0: any free one is taken at the start")
    try:
        open_listener(settings.host, settings.port).close()
    except PortTaken as taken:
        if ours():
            return Answer(subject, State.FINE, f"{settings.port}: PlexBridge is running on it")
        return Answer(subject, State.FAULT, str(taken))
    except ListenFailed as fault:
        return Answer(subject, State.FAULT, str(fault))
    return Answer(subject, State.FINE, f"{settings.port} is free")


async def playlists(settings: Settings) -> list[Answer]:
    """Whether each playlist can be read and holds channels. Asks the provider once for each."""
    subject = "playlist"
    if not settings.playlist:
        text = "none set: --playlist URL or FILE (PLEXBRIDGE_PLAYLIST), or --demo"
        return [Answer(subject, State.NOTE, text)]
    outbound = Outbound(OutboundPolicy(allow=settings.upstream_allow))
    fetcher = PlaylistFetcher(outbound, total_timeout_s=PLAYLIST_SECONDS_MAX)
    answers = []
    try:
        for location in settings.playlist:
            try:
                taken = await take_playlist(location, SourceId("doctor"), fetcher=fetcher)
            except LineupError as fault:
                answers.append(Answer(subject, State.FAULT, str(fault)))
                continue
            text = f"{redact(location)}: {len(taken.listing.entries):,} channels"
            if taken.odd_lines:
                text += f"; {taken.odd_lines:,} lines were not understood"
            state = State.NOTE if taken.odd_lines else State.FINE
            answers.append(Answer(subject, state, text))
    finally:
        await outbound.close()
    return answers


def ffmpeg(settings: Settings) -> Answer:
    """ffmpeg is optional: nothing that is relayed as it comes needs it. Runs it once."""
    subject = "ffmpeg"
    program = settings.ffmpeg_path or DEFAULT_PROGRAM
    path = shutil.which(program)
    if path is None:
        named = "" if settings.ffmpeg_path is None else f" ({program}, named by FFMPEG_PATH)"
        state = State.NOTE if settings.ffmpeg_path is None else State.FAULT
        return Answer(subject, state, f"not found{named}: {WITHOUT_FFMPEG}")
    version = _ffmpeg_version(path)
    if version is None:
        return Answer(subject, State.FAULT, f"{path} does not run: {WITHOUT_FFMPEG}")
    text = f"found, version {version}"
    number = re.match(r"n?([0-9]+)\.", version)
    if number is not None and int(number[1]) < FFMPEG_MAJOR_MIN:
        why = f"{FFMPEG_MAJOR_MIN}.0 or newer is needed for RTSP, RTMP, SRT, UDP, RTP, MMS and DASH"
        return Answer(subject, State.NOTE, f"{text}: {why}")
    return Answer(subject, State.FINE, text)


def _ffmpeg_version(path: str) -> str | None:
    """What it calls its version; builds from the repository have no number."""
    try:
        shown = subprocess.run(
            [path, "-hide_banner", "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=FFMPEG_SECONDS_MAX,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(rb"ffmpeg version (\S+)", shown.stdout)
    return None if found is None else found[1].decode("ascii", "replace")


def demo_clips() -> Answer:
    """Whether the demo's clips were installed."""
    clips = files("plexbridge.demo").joinpath("clips")
    found = sum(clip.name.endswith(".ts") for clip in clips.iterdir()) if clips.is_dir() else 0
    if found < DEMO_CHANNELS:
        text = f"{found} of {DEMO_CHANNELS} clips are installed: --demo does not work; reinstall"
        return Answer("demo", State.FAULT, text)
    return Answer("demo", State.FINE, f"{found} clips")


def settings_changed(settings: Settings) -> list[Answer]:
    """Every setting that is not at its default, with where its value comes from."""
    changed = (
        f"{name} = {settings.shown(name)} ({origin})"
        for name, origin in settings.origins.items()
        if origin is not Origin.DEFAULT
    )
    return [Answer("setting", State.FINE, text) for text in changed]
