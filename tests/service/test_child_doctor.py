"""What `doctor` says of ffmpeg: found or not, and what follows for the channels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plexbridge.doctor import State, ffmpeg
from plexbridge.settings import Settings


def settings(tmp_path: Path, program: str | None = None) -> Settings:
    """Settings in which ffmpeg is this program."""
    values = {"data_dir": tmp_path, "ffmpeg_path": program}
    return Settings(**{name: value for name, value in values.items() if value is not None})


def program(tmp_path: Path, text: str) -> str:
    """A program that stands in for ffmpeg."""
    path = tmp_path / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_version_is_told(tool: Callable[[str], str], tmp_path: Path) -> None:
    """Of the ffmpeg on the PATH."""
    tool("ffmpeg")
    answer = ffmpeg(settings(tmp_path))
    assert answer.state is State.FINE
    assert answer.text.startswith("found, version ")


def test_without_it_the_rest_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which channels need it is said in one line; it is a note, for it is optional."""
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = ffmpeg(settings(tmp_path))
    assert answer.state is State.NOTE
    assert answer.text == (
        "not found: RTSP, RTMP, SRT, UDP, DASH channels and transcoded previews will say so; "
        "everything else works"
    )


def test_one_that_was_named_must_be_there(tmp_path: Path) -> None:
    """Whoever sets FFMPEG_PATH wants that one."""
    answer = ffmpeg(settings(tmp_path, str(tmp_path / "none")))
    assert answer.state is State.FAULT
    assert "FFMPEG_PATH" in answer.text


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ("ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright", State.NOTE),
        ("ffmpeg version n7.1.1 Copyright", State.FINE),
        ("ffmpeg version N-118000-gabcdef Copyright", State.FINE),
        ("something else", State.FAULT),
    ],
)
def test_its_version_is_read_and_judged(tmp_path: Path, says: str, state: State) -> None:
    """Before 5.0 it does not read what it is given."""
    answer = ffmpeg(settings(tmp_path, program(tmp_path, f"echo '{says}'")))
    assert answer.state is state


def test_one_that_does_not_run_is_a_fault(tmp_path: Path) -> None:
    """A library is missing, for instance."""
    assert ffmpeg(settings(tmp_path, program(tmp_path, "exit 127"))).state is State.FAULT
