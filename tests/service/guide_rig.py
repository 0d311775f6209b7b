"""A bridge without a listener, with a guide: written by hand, or put there as if it were read."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from plexbridge.data_dir import GUIDES_DIR, prepare_data_dir
from plexbridge.installation import load_installation
from plexbridge.lineup.guide import schema
from plexbridge.lineup.guide.in_force import guide_key
from plexbridge.lineup.guide.job import Figures
from plexbridge.lineup.guide.store import About, GuideDirectory
from plexbridge.lineup.guide.times import format_time
from plexbridge.log.driver import open_writer
from tests.service.access_rig import Answer, House, ask, house

HOUR_S = 3_600
WITHIN_S = 60.0
"""A mapping is in force when the guides were read, on a busy machine."""

Entry = tuple[str, str, str]
"""Number, name, and `tvg-id`."""


def this_hour() -> int:
    """When it began, in seconds since 1970."""
    return int(datetime.now(UTC).timestamp()) // HOUR_S * HOUR_S


def write_playlist(path: Path, entries: Iterable[Entry], logo: str = "") -> Path:
    """Each entry's upstream has a login in its URL."""
    lines = ["#EXTM3U"]
    for number, name, tvg_id in entries:
        told = f'tvg-chno="{number}" tvg-id="{tvg_id}" tvg-logo="{logo}"'
        lines += [f"#EXTINF:-1 {told},{name}", f"http://127.0.0.1:9/live/user/secret/{number}"]
    path.write_text("\n".join(lines) + "\n")
    return path


def programme(guide_id: str, begin: int, minutes: int, title: str, more: str = "") -> str:
    """`title` and `more` are XML."""
    start, stop = format_time(begin), format_time(begin + minutes * 60)
    inner = f"<title>{title}</title>{more}"
    return f'<programme start="{start}" stop="{stop}" channel="{guide_id}">{inner}</programme>\n'


def write_guide(path: Path, channels: dict[str, str], programmes: Iterable[str]) -> Path:
    """`channels`: names by id."""
    heads = (
        f'<channel id="{guide_id}"><display-name>{name}</display-name></channel>\n'
        for guide_id, name in channels.items()
    )
    path.write_text("".join(["<tv>\n", *heads, *programmes, "</tv>\n"]))
    return path


@asynccontextmanager
async def guided(
    folder: Path, playlist: Path, *guides: Path, read: bool = True, **settings: str
) -> AsyncIterator[House]:
    """A bridge that has read its guides, if they are to be read."""
    async with house(
        folder / "data",
        PLEXBRIDGE_PLAYLIST=str(playlist),
        PLEXBRIDGE_GUIDE=" ".join(map(str, guides)),
        PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        **settings,
    ) as made:
        held = made.bridge.guides
        assert held is not None
        if read:
            await until_read(made)
        yield made


async def until_read(made: House) -> None:
    """The guides are those of the lineup as it is mapped; read at once, as a person may ask."""
    guides = made.bridge.guides
    assert guides is not None
    guides.refresh()
    async with asyncio.timeout(WITHIN_S):
        while guides.behind:  # noqa: ASYNC110 (nothing tells of it but itself)
            await asyncio.sleep(0.02)


async def asked(made: House, path: str, method: str = "GET", send: Any = None) -> Answer:
    """One request of somebody on this machine."""
    return await ask(made.app, path, method=method, send=send)


async def told(made: House, path: str, method: str = "GET", send: Any = None) -> Any:
    """The document of a good answer."""
    answer = await asked(made, path, method, send)
    assert answer.status == 200, (path, answer.document)
    return answer.document


def keep_guide(folder: Path, place: Path, channels: list[str], *, days: int) -> None:
    """Put a guide into the data directory as if `place` had been read: half an hour a programme,
    for each of these lineup channels."""
    prepare_data_dir(folder / "data")
    key = load_installation(folder / "data", os.urandom).digest_key
    files = GuideDirectory(folder / "data" / GUIDES_DIR)
    name = guide_key(str(place), key)
    files.prepare([name])
    begin, count = this_hour() - 24 * HOUR_S, days * 48
    about = About(key=name, read_at=this_hour(), wanted="another")
    figures = Figures(channels=len(channels), kept=count * len(channels), matched=len(channels))
    figures.latest = begin + count * 1_800
    with closing(open_writer(files.file(name), "relaxed")) as connection:
        for table in schema.TABLES:
            connection.execute(table)
        connection.execute("BEGIN")
        rows = [(at, f"id{at}", f"Channel {at}") for at in range(len(channels))]
        connection.executemany(schema.INSERT_CHANNEL, rows)
        matches = [(one, at, "id", 100) for at, one in enumerate(channels)]
        connection.executemany(schema.INSERT_MATCH, matches)
        connection.executemany(
            schema.INSERT_PROGRAMME,
            (
                (at, begin + n * 1_800, begin + (n + 1) * 1_800, f"<title>{at} {n}</title>")
                for at in range(len(channels))
                for n in range(count)
            ),
        )
        facts = {"about": asdict(about), "figures": asdict(figures)}
        stored = [(fact, orjson.dumps(value).decode()) for fact, value in facts.items()]
        connection.executemany(schema.INSERT_FACT, stored)
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
