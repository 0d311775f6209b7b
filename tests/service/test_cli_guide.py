"""`plexbridge guide` and `sources`: beside a running bridge, without one, at a moment."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running import RunningBridge, until
from tests.service.guide_rig import HOUR_S, programme, this_hour, write_guide, write_playlist

ENTRIES = (("1", "News One", "one.tv"), ("2", "Harbour", ""), ("3", "Unheard", ""))
SECRET = "hunter2"
BEGIN = this_hour()
"""What is on begins before it and lasts for hours, however long the tests wait for their turn."""


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """A file's channels, an account that nobody answers for, and a guide."""
    folder = tmp_path_factory.mktemp("cli")
    playlist = write_playlist(folder / "list.m3u", ENTRIES)
    shows = [
        programme("one.tv", BEGIN - HOUR_S, 12 * 60, "Now", "<desc>All of it.</desc>"),
        programme("one.tv", BEGIN + 11 * HOUR_S, 60, "Then"),
        programme("harbour", BEGIN + 2 * HOUR_S, 60, "Boats"),
    ]
    guide = write_guide(folder / "guide.xml", {"one.tv": "News One", "harbour": "Harbour"}, shows)
    account = f"xtream+http://ann:{SECRET}@127.0.0.1:9"
    with RunningBridge(
        folder / "data",
        PLEXBRIDGE_PLAYLIST=f"{playlist} {account}",
        PLEXBRIDGE_GUIDE=str(guide),
        PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
    ) as running:
        until("the guide is read", lambda: running.get("/api/guides")[0]["programmes"])
        until("the account was tried", lambda: running.get("/api/sources")[1]["problem"])
        yield running


def ran(bridge: RunningBridge, *words: str, code: int = 0) -> str:
    """What a command says; never the account's password."""
    done: subprocess.CompletedProcess[str] = bridge.command(*words)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert SECRET not in done.stdout + done.stderr
    return done.stdout


def documents(bridge: RunningBridge, *words: str, code: int = 0) -> list[Any]:
    """The same with `--json`."""
    return [json.loads(text) for text in ran(bridge, *words, "--json", code=code).splitlines()]


def test_what_is_on_now_and_next(bridge: RunningBridge) -> None:
    """Channel by channel, at any moment, by words; one channel's hours with a description."""
    rows = {row["name"]: row for row in documents(bridge, "guide", "ls")}
    assert (rows["News One"]["now"]["title"], rows["News One"]["next"]["title"]) == ("Now", "Then")
    assert (rows["Unheard"]["now"], rows["Unheard"]["next"]) == (None, None)
    later = iso(BEGIN + 11 * HOUR_S)
    assert "Then" in ran(bridge, "guide", "ls", "--find", "news", "--at", later)
    told = ran(bridge, "guide", "show", "1", "--at", iso(BEGIN), "--utc")
    assert "News One" in told
    assert "Now: All of it." in told
    [first, second] = documents(bridge, "guide", "show", "1", "--at", iso(BEGIN))
    assert (first["title"], second["title"]) == ("Now", "Then")
    assert "nothing of then" in ran(bridge, "guide", "show", "3", code=1)
    ran(bridge, "guide", "show", "77", code=2)
    ran(bridge, "guide", "ls", "--at", "#999999", code=2)


def iso(seconds: int) -> str:
    """As a person may write a moment."""
    done = subprocess.run(
        ["date", "-u", "-d", f"@{seconds}", "+%Y-%m-%dT%H:%M:%S+00:00"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_how_channels_are_mapped(bridge: RunningBridge) -> None:
    """All, those without a guide, and what each could have."""
    rows = {row["name"]: row for row in documents(bridge, "guide", "mapping")}
    assert {name: (row["guide_id"], row["how"]) for name, row in rows.items()} == {
        "News One": ("one.tv", "id"),
        "Harbour": ("harbour", "name"),
        "Unheard": (None, None),
    }
    [only] = documents(bridge, "guide", "mapping", "--unmapped")
    assert only["name"] == "Unheard"
    ran(bridge, "guide", "mapping", "--unmapped", "--guessed", code=2)
    found = documents(bridge, "guide", "find", "2")
    assert (found[0]["guide_id"], found[0]["confidence"]) == ("harbour", 100)
    assert "1 of 100" not in ran(bridge, "guide", "find", "2", "nothing like it")


def test_sources_are_listed_as_they_stand_and_stood(bridge: RunningBridge) -> None:
    """With their trouble and without their login; nothing of what came later."""
    file, account = documents(bridge, "sources", "ls")
    assert (file["kind"], file["entries"], file["problem"]) == ("m3u", 3, None)
    assert account["id"].startswith("127.0.0.1-")
    assert account["verdict"]["verdict"] == "look here"
    assert documents(bridge, "sources", "ls", "--at", "#1") == []
    told = ran(bridge, "sources", "ls")
    assert file["id"] in told
    assert "ann" not in told


def test_sources_are_tried_and_read(bridge: RunningBridge) -> None:
    """A try changes nothing and says what is wrong; a refresh is the running bridge's."""
    file, account = documents(bridge, "sources", "ls")
    before = bridge.get("/api/log/head")
    [tried] = documents(bridge, "sources", "test", file["id"])
    assert (tried["entries"], tried["problem"]) == (3, None)
    [good, bad] = documents(bridge, "sources", "test", code=1)
    assert (good["id"], bad["problem"] is None) == (file["id"], False)
    assert bridge.get("/api/log/head") == before
    ran(bridge, "sources", "test", "nobody", code=2)
    port = bridge.base.rpartition(":")[2]
    assert "lists 3 channels" in ran(bridge, "sources", "refresh", file["id"], "--port", port)
    ran(bridge, "sources", "refresh", account["id"], "--port", port, code=1)
    ran(bridge, "sources", "refresh", "nobody", "--port", port, code=2)
    ran(bridge, "sources", "refresh", "../x", "--port", port, code=2)
    assert "1 will be read now" in ran(bridge, "guide", "refresh", "--port", port)


def test_reading_needs_no_running_bridge(bridge: RunningBridge, tmp_path: Path) -> None:
    """The data directory is enough; one that no bridge ran on says so."""
    port = bridge.base.rpartition(":")[2]
    bridge.stop()
    try:
        assert "Now" in ran(bridge, "guide", "show", "1", "--at", iso(BEGIN))
        assert len(documents(bridge, "sources", "ls")) == 2
        assert len(documents(bridge, "guide", "mapping")) == 3
        ran(bridge, "guide", "refresh", "--port", port, code=3)
        empty = str(tmp_path / "empty")
        for words in (("guide", "ls"), ("guide", "mapping"), ("sources", "test")):
            ran(bridge, *words, "--data-dir", empty, code=2)
        ran(bridge, "sources", "ls", "--data-dir", empty, code=3)
    finally:
        bridge.start()
