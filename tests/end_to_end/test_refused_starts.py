"""Bad input: each stops the start with one clear line, and nothing recorded is lost."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import RunningBridge

PLAYLIST = '#EXTM3U\n#EXTINF:-1 tvg-chno="1",One\nhttp://127.0.0.1:9/one.ts\n'


def refused(data_dir: Path, *arguments: str, **environment: str) -> str:
    """The one line that a start ended with."""
    ran = subprocess.run(
        [sys.executable, "-m", "plexbridge.cli", "serve", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PLEXBRIDGE_DATA_DIR": str(data_dir),
            "PORT": "0",
            "PLEXBRIDGE_LOG_LEVEL": "error",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 3, (ran.returncode, ran.stdout, ran.stderr)
    lines = ran.stderr.strip().splitlines()
    assert len(lines) == 1, ran.stderr
    return lines[0]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("", "is empty"),
        ("<!DOCTYPE html><html>login</html>", "web page"),
        ("#EXTM3U\n#EXTINF:-1,No URL\n", "holds no"),
    ],
    ids=["missing", "empty", "html", "no-url"],
)
def test_a_playlist_that_is_none(
    data_dir: Path, tmp_path: Path, content: str | None, says: str
) -> None:
    """Missing, empty, a web page, entries without a URL."""
    playlist = tmp_path / "list.m3u"
    if content is not None:
        playlist.write_text(content)
    line = refused(data_dir, "--playlist", str(playlist))
    assert str(playlist) in line
    assert says in line.lower()


def test_a_taken_port_is_named(data_dir: Path, tmp_path: Path) -> None:
    """And what to set instead."""
    playlist = tmp_path / "list.m3u"
    playlist.write_text(PLAYLIST)
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(data_dir, "--playlist", str(playlist), PORT=str(port))
    assert str(port) in line
    assert "PORT" in line


def test_a_directory_that_another_bridge_has(data_dir: Path) -> None:
    """The running one is named, and goes on."""
    with RunningBridge(data_dir, "--demo") as running:
        assert running.process is not None
        line = refused(data_dir, "--demo")
        assert str(running.process.pid) in line
        assert running.answers("/livez")


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "file").write_text("")
    line = refused(tmp_path / "file" / "data", "--demo")
    assert str(tmp_path / "file" / "data") in line


def test_a_log_from_a_newer_version_is_left_alone(data_dir: Path) -> None:
    """It is not opened for writing; the line says who can read it."""
    with RunningBridge(data_dir, "--demo") as running:
        running.stop()
    database = data_dir / "plexbridge.db"
    make_newer = (
        "from plexbridge.log.driver import sqlite3; "
        f"c = sqlite3.connect({str(database)!r}); "
        "c.execute('PRAGMA user_version = 9999'); c.commit()"
    )
    subprocess.run([sys.executable, "-c", make_newer], check=True)
    before = database.read_bytes()
    line = refused(data_dir, "--demo")
    assert "newer" in line
    assert database.read_bytes() == before
