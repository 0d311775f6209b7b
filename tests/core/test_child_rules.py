"""Restart intensity, what may be shown of a child's complaints, and what its end is called."""

import pytest

from plexbridge.relay.child.intensity import RestartIntensity
from plexbridge.relay.child.said import LINE_BYTES_MAX, LINES_MAX, Said, secret_parts
from plexbridge.relay.child.words import failure_of

URL = "rtsp://alice:hunter2%21@tv.example:554/live/tok3n/7?auth=s3same"


def test_three_restarts_a_minute_and_no_fourth() -> None:
    """And the pause that is due until the next one."""
    intensity = RestartIntensity(3, 60)
    assert [intensity.allow(at) for at in (0, 10, 20, 30)] == [True, True, True, False]
    assert intensity.wait_s(30) == 30
    assert not intensity.allow(59.9)
    assert intensity.allow(60)
    assert intensity.wait_s(60) == 10


def test_refused_restarts_do_not_count() -> None:
    """Who asks in vain all the time is let through when the period is over."""
    intensity = RestartIntensity(1, 60)
    assert intensity.allow(0)
    assert not any(intensity.allow(at) for at in range(1, 60))
    assert intensity.allow(60)


def said(*chunks: bytes, url: str = URL) -> Said:
    """What is kept of these bytes."""
    kept = Said(secret_parts(url, {"Cookie": "sid=c00kie"}))
    for chunk in chunks:
        kept.feed(chunk)
    return kept


@pytest.mark.parametrize("secret", ["alice", "hunter2", "tok3n", "s3same", "c00kie", "hunter2!"])
@pytest.mark.parametrize(
    "line",
    [
        f"Impossible to open '{URL}'",
        "user alice password hunter2! of tok3n with s3same sid=c00kie",
        f"{URL}",
        URL.replace("rtsp", "tcp"),
    ],
)
def test_nothing_secret_is_shown(secret: str, line: str) -> None:
    """Neither within the URL that ffmpeg repeats, nor in parts of it, nor unquoted."""
    (shown,) = said(line.encode() + b"\n").lines
    assert secret not in shown


def test_what_helps_is_shown() -> None:
    """Host, port and the sentence."""
    (shown,) = said(b"Connection to tcp://tv.example:554?timeout=1 failed: refused\n").lines
    assert shown == "Connection to tcp://tv.example:554?timeout=*** failed: refused"


def test_only_the_last_lines_are_kept() -> None:
    """Of a flood, whatever the cuts it comes in."""
    kept = said(*(f"line {n}\n".encode() for n in range(1_000)))
    assert kept.lines == tuple(f"line {n}" for n in range(1_000 - LINES_MAX, 1_000))
    flood = said(b"".join(f"line {n}\n".encode() for n in range(100_000)))
    assert flood.lines[-1] == "line 99999"
    assert len(flood.lines) <= LINES_MAX


def test_a_line_without_end_is_cut_where_no_word_is_cut() -> None:
    """Half a secret would not be recognised; so neither half is kept."""
    start = b"x" * (LINE_BYTES_MAX - 10) + b" "
    kept = said(start + b"hunter2%21", b"hunter2%21 hunter2%21", b" more\nnext\n")
    assert kept.lines == ("x" * (LINE_BYTES_MAX - 10), "next")
    endless = said(*(b"hunt" for _ in range(100_000)))
    assert "hunt" not in "".join(endless.lines)
    assert len(endless._tail) <= LINE_BYTES_MAX


@pytest.mark.parametrize(
    ("code", "line", "reason", "detail"),
    [
        (0, "", "process_closed", "ffmpeg_ended"),
        (1, "", "ffmpeg_error", "ffmpeg_exited_1"),
        (-9, "", "process_closed", "ffmpeg_killed_9"),
        (-11, "", "ffmpeg_error", "ffmpeg_killed_11"),
        (1, "[http @ 0x5] HTTP error 404 File not found", "ffmpeg_error", "upstream_http_404"),
        (1, "method DESCRIBE failed: 401 Unauthorized", "ffmpeg_error", "upstream_http_401"),
        (1, "tcp://h:1 failed: Connection refused", "ffmpeg_error", "upstream_refused"),
        (1, "Peer certificate failed verification", "ffmpeg_error", "upstream_tls"),
    ],
)
def test_the_end_of_a_child_in_words(code: int, line: str, reason: str, detail: str) -> None:
    """What the provider answered goes before the exit status."""
    failure = failure_of(code, (line, "pipe:0: Input/output error"))
    assert (failure.reason, failure.detail) == (reason, detail)
