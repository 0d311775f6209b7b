"""What ffmpeg is told: no secret in its arguments, nothing in its script but what was meant."""

import pytest

from plexbridge.relay.child.command import (
    URL_CHARS_MAX,
    BadUpstream,
    fed_command,
    kind_of,
    place_of,
    quoted,
    read_command,
    transcode_command,
)

SECRET = "hunter2"


def script_of(url: str, headers: dict[str, str] | None = None) -> list[str]:
    """The lines that a child reads for this URL."""
    kind = kind_of(url)
    assert kind is not None
    command = read_command(kind, url, headers or {}, ca_file=None)
    return command.script.decode().splitlines()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://h/x", "rtsp"),
        ("RTSPS://h/x", "rtsp"),
        ("rtmp://h/app/x", "rtmp"),
        ("rtmps://h/app/x", "rtmp"),
        ("srt://h:9000", "srt"),
        ("udp://@239.1.1.1:1234", "udp"),
        ("rtp://239.1.1.1:1234", "rtp"),
        ("mms://h/x", "mms"),
        ("mmsh://h/x", "mms"),
        ("http://h/x.mpd", "dash"),
        ("https://h/x.MPD?token=1#a", "dash"),
        ("http://h/x.ts", None),
        ("http://h/x.ts?next=y.mpd", None),
        ("https://h/x.m3u8", None),
        ("file:///etc/passwd", None),
        ("file:///x.mpd", None),
        ("concat:rtsp://h/x", None),
        ("pipe:0", None),
        ("/a/path.mpd", None),
    ],
)
def test_the_kind_is_told_by_the_scheme(url: str, name: str | None) -> None:
    """And by nothing that a provider could put into the rest of the URL."""
    kind = kind_of(url)
    assert (None if kind is None else kind.name) == name


@pytest.mark.parametrize(
    "url", ["rtsp://u:{}@h/x", "rtmp://h/app/{}", "srt://h:1?passphrase={}", "https://h/{}/x.mpd"]
)
def test_neither_url_nor_header_is_an_argument(url: str) -> None:
    """Arguments are read by everybody on the machine."""
    url = url.format(SECRET)
    kind = kind_of(url)
    assert kind is not None
    command = read_command(kind, url, {"User-Agent": SECRET}, ca_file=None)
    assert SECRET not in " ".join(command.arguments)
    assert SECRET in command.script.decode()


def test_no_kind_may_open_a_local_file() -> None:
    """A manifest could name one; and `concat` and `subfile` are ways to it."""
    urls = ("rtsp://h", "rtmps://h", "srt://h", "udp://h", "rtp://h", "mms://h", "https://h/a.mpd")
    for url in urls:
        kind = kind_of(url)
        assert kind is not None
        arguments = read_command(kind, url, {}, ca_file=None).arguments
        allowed = arguments[arguments.index("-protocol_whitelist") + 1].split(",")
        assert not {"file", "concat", "concatf", "subfile", "data", "unix", "cache"} & {*allowed}


def unquoted(line: str) -> tuple[str, str]:
    """Directive and value, as ffmpeg's `av_get_token` reads them."""
    directive, _, text = line.partition(" ")
    if directive == "option":
        name, _, text = text.partition(" ")
        directive = f"option {name}"
    value, within, at = "", False, 0
    while at < len(text):
        char = text[at]
        if char == "'":
            within = not within
        elif char == "\\" and not within:
            at += 1
            value += text[at]
        else:
            assert within or not char.isspace(), "an unquoted blank ends the value"
            value += char
        at += 1
    assert not within
    return directive, value


@pytest.mark.parametrize(
    "odd", ["it's", "'", "''", "\\", "\\'", "a' b", "x'\\''y", "#", "a b", "$(x)", "é"]
)
def test_a_value_stays_one_value(odd: str) -> None:
    """Whatever a provider writes into a URL, the script has the same lines, and the same URL."""
    lines = script_of(f"rtsp://h/{odd}")
    assert unquoted(lines[1]) == ("file", f"rtsp://h/{odd}")
    assert len(lines) == len(script_of("rtsp://h/x"))
    assert unquoted(f"file {quoted(odd)}") == ("file", odd)


@pytest.mark.parametrize("odd", ["\n", "\r", "\0", "\x0b", "\u2028", "\x85", "\x7f"])
def test_control_characters_are_refused(odd: str) -> None:
    """A line end would be another directive."""
    with pytest.raises(BadUpstream, match="ffmpeg_bad_url"):
        script_of(f"rtsp://h/x{odd}file 'y'")
    with pytest.raises(BadUpstream, match="ffmpeg_bad_headers"):
        script_of("http://h/x.mpd", {"User-Agent": f"a{odd}b"})


def test_an_endless_url_is_refused() -> None:
    """Nobody's URL is longer than the bound."""
    with pytest.raises(BadUpstream, match="ffmpeg_bad_url"):
        script_of("rtsp://h/" + "x" * URL_CHARS_MAX)


def test_headers_are_sent_where_the_protocol_has_them() -> None:
    """User agent and referer have options of their own; one other header finds room with DASH."""
    headers = {"User-Agent": "Tv", "Referer": "http://a/", "Authorization": "Bearer x"}
    dash = [unquoted(line) for line in script_of("http://h/x.mpd", headers)[1:]]
    assert ("option user_agent", "Tv") in dash
    assert ("option referer", "http://a/") in dash
    assert ("option headers", "Authorization: Bearer x") in dash
    rtsp = script_of("rtsp://h/x", headers)
    assert any("Tv" in line for line in rtsp)
    assert not any("Bearer" in line for line in rtsp)
    with pytest.raises(BadUpstream, match="ffmpeg_bad_headers"):
        script_of("http://h/x.mpd", {"Authorization": "a", "Cookie": "b"})


def test_certificates_are_checked_where_ffmpeg_can() -> None:
    """No silent trust: HTTPS and RTMPS are verified, with the system's authorities."""
    for url in ("https://h/x.mpd", "rtmps://h/x"):
        kind = kind_of(url)
        assert kind is not None
        script = read_command(kind, url, {}, ca_file="/ca.pem").script.decode()
        assert "option tls_verify '1'" in script
        assert "option ca_file '/ca.pem'" in script


def test_places() -> None:
    """What is checked before a child starts is the host that ffmpeg would ask."""
    assert place_of("rtsp://u:p@h:554/x").host == "h"
    assert place_of("udp://@239.1.1.1:1234").host == "239.1.1.1"
    assert place_of("udp://@:1234").host == ""
    assert place_of("rtsp://[2001:db8::1]:554/x").host == "2001:db8::1"
    for bad in ("rtsp://h:port/x", "rtsp://[::1/x"):
        with pytest.raises(BadUpstream, match="ffmpeg_bad_url"):
            place_of(bad)


def test_fed_children_read_pipes_only() -> None:
    """What we fetched comes through descriptors; nothing else may be opened."""
    one, two = fed_command([7]), fed_command([7, 9])
    assert [one[at + 1] for at, word in enumerate(one) if word == "-i"] == ["pipe:7"]
    assert [two[at + 1] for at, word in enumerate(two) if word == "-i"] == ["pipe:7", "pipe:9"]
    for command in (one, two, transcode_command()):
        allowed = {command[at + 1] for at, w in enumerate(command) if w == "-protocol_whitelist"}
        assert allowed == {"pipe"}
