"""Guides read by the real worker process: what is kept, what is refused, what it takes."""

import asyncio
import gzip
import lzma
import os
import resource
import stat
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plexbridge.lineup import apart_process
from plexbridge.lineup.guide import process
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.job import Figures, Job, Wanted
from plexbridge.lineup.guide.process import build_apart
from plexbridge.lineup.guide.store import About, GuideDirectory, StoredGuide, as_facts
from tests.service.guide_maker import wanted, write_guide

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY_S = 86_400
ABOUT = About(key="k", read_at=int(NOW.timestamp()), wanted="w")


def job(directory: Path, source: Path, channels: Sequence[Wanted]) -> Job:
    now = int(NOW.timestamp())
    return Job(
        source=source,
        into=GuideDirectory(directory).new("k"),
        wanted=channels,
        begin=now - DAY_S,
        end=now + 14 * DAY_S,
        about=as_facts(ABOUT),
    )


def put(directory: Path) -> StoredGuide:
    return GuideDirectory(directory).put_in_force("k")


async def read(
    directory: Path, body: bytes, channels: Sequence[Wanted]
) -> tuple[Figures, StoredGuide]:
    source = directory / "guide.xml"
    source.write_bytes(body)
    figures = await build_apart(job(directory, source, channels))
    return figures, put(directory)


def programme(channel: str, hours: float, inner: str = "<title>T</title>") -> str:
    start = (NOW + timedelta(hours=hours)).strftime("%Y%m%d%H%M%S +0000")
    return f'<programme start="{start}" channel="{channel}">{inner}</programme>'


async def test_programmes_of_matched_channels_in_the_window_are_kept(tmp_path: Path) -> None:
    """A day back, two weeks ahead, each once; the rest is counted."""
    body = (
        '<tv><channel id="a.x"><display-name>Alpha</display-name></channel>'
        '<channel id="b.x"><display-name>Beta</display-name></channel>'
        + "".join(programme("a.x", hours) for hours in (-48, -20, 0, 0, 24, 24 * 13, 24 * 15))
        + programme("b.x", 0)
        + programme("a.x", 1, "<desc>no title</desc>")
        + '<programme start="soon" channel="a.x"><title>T</title></programme></tv>'
    )
    figures, stored = await read(tmp_path, body.encode(), [Wanted("1", "", "UK: Alpha HD")])
    assert (figures.channels, figures.programmes) == (2, 10)
    assert (figures.kept, figures.outside, figures.odd, figures.matched) == (4, 2, 2, 1)
    assert stored.about == ABOUT
    assert stored.figures.digest == figures.digest
    assert {name: found.how for name, found in stored.found.items()} == {"1": "name"}
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600


async def test_channels_may_stand_behind_programmes_or_be_missing(tmp_path: Path) -> None:
    """Then the guide is read once more, and nothing is lost."""
    body = (
        f"<tv>{programme('late.x', 0)}{programme('Missing.x', 0)}"
        '<channel id="late.x"><display-name>Late</display-name></channel></tv>'
    )
    channels = [Wanted("1", "", "Late"), Wanted("2", "missing.x", "-")]
    figures, stored = await read(tmp_path, body.encode(), channels)
    assert (figures.kept, figures.programmes, figures.matched) == (2, 2, 2)
    assert {name: found.how for name, found in stored.found.items()} == {
        "1": "name",
        "2": "id_case",
    }


async def test_the_digest_follows_what_is_kept(tmp_path: Path) -> None:
    """The same guide, the same digest; another title, another one."""
    digests = []
    for title in ("One", "One", "Two"):
        body = f"<tv>{programme('a', 0, f'<title>{title}</title>')}</tv>".encode()
        digests.append((await read(tmp_path, body, [Wanted("1", "a", "")]))[0].digest)
    assert digests[0] == digests[1] != digests[2]


HUGE = 30_000_000
HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "entity bomb": (
        lambda: b'<!DOCTYPE tv [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tv>&b;</tv>',
        "refused",
        "declares entities",
    ),
    "external entity": (
        lambda: b'<!DOCTYPE tv [<!ENTITY x SYSTEM "file:///etc/passwd">]><tv>&x;</tv>',
        "refused",
        "declares entities",
    ),
    "gzip bomb": (
        lambda: gzip.compress(b"<tv>" + b"<!---->" * HUGE),
        "refused",
        "unpacks to more",
    ),
    "xz bomb": (lambda: lzma.compress(b"<tv>" + b"<!---->" * HUGE), "refused", "unpacks"),
    "giant text": (lambda: b"<tv><x>" + b"y" * HUGE, "refused", "far too long"),
    "giant attribute": (lambda: b'<tv><x a="' + b"y" * HUGE, "refused", "far too long"),
    "giant comment": (lambda: b"<tv><!--" + b"<y" * HUGE + b"-->", "refused", "far too long"),
    "a million attributes": (
        lambda: b"<tv><x " + b" ".join(b"a%d='>'" % n for n in range(1_000_000)),
        "refused",
        "far too long",
    ),
    "endless children": (
        lambda: b"<tv><programme>" + b"<x/>" * HUGE,
        "refused",
        "MiB of memory",
    ),
    "endless names": (
        lambda: b"<tv><programme>" + b"".join(b"<n%d/>" % n for n in range(3_000_000)),
        "refused",
        "MiB of memory",
    ),
    "a quarter of a million channels": (
        lambda: b"<tv>" + b"".join(b'<channel id="%d"/>' % n for n in range(250_001)),
        "refused",
        "250,000 channels",
    ),
    "endless prolog": (lambda: b"<!DOCTYPE tv [" + b"<!ELEMENT x ANY>" * 99_999, "refused", "KiB"),
    "a web page": (lambda: b"<!doctype html><html></html>", "not_a_guide", "a web page"),
    "half a file": (
        lambda: f"<tv>{programme('a', 0) * 9_000}".encode()[:-30],
        "broken",
        "ends in the middle",
    ),
    "out of date": (lambda: f"<tv>{programme('a', -999)}</tv>".encode(), "empty", "ended on 2026"),
    "nothing in it": (lambda: b'<tv><channel id="a"/></tv>', "empty", "holds no programme"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_would_hurt_a_reader_is_refused_and_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    """A clear line each, soon, and the guide in force is the one from before."""
    make, kind, words = HOSTILE[name]
    _, before = await read(tmp_path, f"<tv>{programme('a', 0)}</tv>".encode(), wanted(1))
    as_it_was = before.path.read_bytes()
    source = tmp_path / "hostile.xml"
    source.write_bytes(make())
    with pytest.raises(GuideFault) as caught:
        await build_apart(job(tmp_path, source, wanted(1)), seconds_max=60)
    assert caught.value.kind == kind
    assert words in caught.value.fault
    assert before.path.read_bytes() == as_it_was


async def test_no_file_of_ours_is_read_and_nobody_is_called(tmp_path: Path) -> None:
    """A document type is dropped before the parser sees it: its file is never asked for."""
    asked = []
    server = await asyncio.start_server(lambda *_: asked.append(1), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    body = (
        f'<!DOCTYPE tv SYSTEM "http://127.0.0.1:{port}/x.dtd">\n'
        f"<tv>{programme('a', 0, '<title>&x;</title>')}</tv>"
    )
    figures, _ = await read(tmp_path, body.encode(), [Wanted("1", "a", "")])
    server.close()
    assert figures.kept == 1
    assert asked == []


async def test_a_worker_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """And what it wrote is not in force."""
    source = tmp_path / "guide.xml"
    write_guide(source, channels=100, begin=NOW)
    with pytest.raises(GuideFault, match=r"not read within 0\.3 s"):
        await build_apart(job(tmp_path, source, wanted(100)), seconds_max=0.3)
    assert not GuideDirectory(tmp_path).file("k").exists()


async def test_a_cancelled_reading_leaves_no_process(tmp_path: Path) -> None:
    """At a stop nobody waits for a guide."""
    source = tmp_path / "guide.xml"
    write_guide(source, channels=100, begin=NOW)
    reading = asyncio.create_task(build_apart(job(tmp_path, source, wanted(100))))
    new = GuideDirectory(tmp_path).new("k")
    async with asyncio.timeout(20):
        while not new.exists():  # noqa: ASYNC110 (a file tells nobody)
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)
    with pytest.raises(GuideFault, match=r"cannot be read|another release"):
        put(tmp_path)  # it was killed, not waited for


async def test_a_worker_that_dies_is_told_by_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The out-of-memory killer gives no reason."""
    (tmp_path / "dying.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(apart_process, "_PACKAGES", str(tmp_path))
    monkeypatch.setattr(process, "WORKER", "dying")
    with pytest.raises(GuideFault, match="ended by signal 9"):
        await build_apart(job(tmp_path, tmp_path, []))


@pytest.mark.parametrize("suffix", [".xml", ".gz", ".xz"])
async def test_a_guide_of_sixteen_megabytes_takes_little(tmp_path: Path, suffix: str) -> None:
    """Plain, gzip and xz: within 80 MiB, and the loop is not held meanwhile."""
    source = tmp_path / f"guide{suffix}"
    size = write_guide(source, channels=50, begin=NOW)
    assert size > 15_000_000
    gaps, watching = [0.0], True

    async def watch() -> None:
        while watching:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - began)

    watcher = asyncio.create_task(watch())
    figures = await build_apart(job(tmp_path, source, wanted(50)))
    watching = False
    await watcher
    assert figures.kept == figures.programmes == 50 * 48 * 14
    assert figures.peak_kib < 80 * 1024
    assert sorted(gaps)[len(gaps) // 2] < 0.05


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("channels", "size", "cpu_s"),
    [pytest.param(630, 200_000_000, 30, id="200 MB"), (3_120, 1_000_000_000, 200)],
)
async def test_big_guides_are_read_in_bounded_time_and_memory(
    tmp_path: Path, channels: int, size: int, cpu_s: float
) -> None:
    """200 MB in 30 s (of processor time: others share the machine) and 200 MB; 1 GB finishes."""
    source = tmp_path / "guide.xml"
    assert write_guide(source, channels=channels, begin=NOW) >= size
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = await build_apart(job(tmp_path, source, wanted(channels)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{size:,} bytes: {figures.seconds} s, {used_s:.1f} s CPU, {figures.peak_kib} KiB")
    assert figures.kept == channels * 48 * 14
    assert used_s < cpu_s
    assert figures.peak_kib < 200_000_000 // 1024
