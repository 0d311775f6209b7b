"""Playlists from real files and real sockets: what is read, what is refused, and in which words."""

import asyncio
import gzip
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM

import pytest

from events.ids import SourceId
from plexbridge.lineup.assign import assign
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.errors import (
    LineupError,
    NotAPlaylist,
    PlaylistEmpty,
    PlaylistUnreadable,
    StoreUnusable,
)
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.given_numbers import GivenNumbers
from plexbridge.lineup.load import Taken, take_playlist
from plexbridge.lineup.store import LineupStore
from plexbridge.log.driver import open_writer
from plexbridge.outbound import (
    REDIRECT_HOPS_MAX,
    AddressForbidden,
    Gate,
    Outbound,
    OutboundFailed,
    OutboundPolicy,
)
from plexbridge.reachable import Address

LOOPBACK = OutboundPolicy((ip_network("127.0.0.0/8"),))
PLAYLIST = b'#EXTM3U\n#EXTINF:-1 tvg-id="a",A\nhttp://h/live/USER/PASS/1.ts\n'
LOST = PLAYLIST + b"#EXTINF:-1,B\n#EXTINF:-1,C\nfile:///h/3\n"


@dataclass
class Server:
    """Answers each path with the bytes it was given, and keeps the heads it saw."""

    port: int
    answers: dict[str, bytes] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    open_now: int = 0
    open_at_most: int = 0
    waits_for_close: bool = False
    hold: Callable[[], Awaitable[None]] | None = None

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.open_at_most = max(self.open_at_most, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            writer.write(self.answers.get(head.split()[1], b"HTTP/1.1 404 No\r\n\r\n"))
            await writer.drain()
            if self.waits_for_close:
                await reader.read()
            if self.hold is not None:
                await self.hold()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server(0)
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()


@asynccontextmanager
async def outbound(policy: OutboundPolicy = LOOPBACK, **timeouts: float) -> AsyncIterator[Outbound]:
    made = Outbound(policy, **timeouts)
    try:
        yield made
    finally:
        await made.close()


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """With a body that does not end: only the client's own closing ends the connection."""
    return f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\n\r\n<a href".encode()


async def answer_anything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server without TLS, asked with it."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()


async def failure(url: str, policy: OutboundPolicy = LOOPBACK, **timeouts: float) -> OutboundFailed:
    async with outbound(policy, **timeouts) as client:
        with pytest.raises(OutboundFailed) as caught:
            await client.get(url, {})
    return caught.value


async def load(location: str, **limits: float) -> tuple[Lineup, Taken]:
    async with outbound() as client:
        fetcher = PlaylistFetcher(client, **limits)  # type: ignore[arg-type]
        taken = await take_playlist(location, SourceId("a"), fetcher=fetcher)
    return assign([taken.listing], b"key"), taken


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::",
        "169.254.1.1",
        "fe80::1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "255.255.255.255",
    ],
)
def test_addresses_that_no_upstream_is_on_are_refused(address: str) -> None:
    """Loopback, link-local, metadata, multicast, unspecified; however they are written."""
    with pytest.raises(AddressForbidden):
        OutboundPolicy().check(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "192.168.1.2", "10.0.0.1", "172.16.0.1", "100.64.0.1", "fd12::1"]
)
def test_public_and_private_addresses_may_be_reached(address: str) -> None:
    """Tuners and panels in the house are legitimate upstreams."""
    OutboundPolicy().check(ip_address(address))


def test_a_named_network_may_be_reached_metadata_never() -> None:
    """`PLEXBRIDGE_UPSTREAM_ALLOW` opens what it names, IPv4 inside IPv6 included."""
    policy = OutboundPolicy((ip_network("127.0.0.1/32"), ip_network("169.254.0.0/16")))
    policy.check(ip_address("127.0.0.1"))
    policy.check(ip_address("::ffff:127.0.0.1"))
    policy.check(ip_address("169.254.1.1"))
    for address in ("127.0.0.2", "169.254.169.254"):
        with pytest.raises(AddressForbidden):
            policy.check(ip_address(address))


def test_a_public_host_cannot_send_us_into_a_private_network() -> None:
    """Not even into one that is named; a private host may send to a public one, and on."""
    gate = Gate(LOOPBACK)
    gate.open_socket((AF_INET, SOCK_STREAM, IPPROTO_TCP, "", ("93.184.215.14", 80))).close()
    assert gate.leads_from_public
    following = Gate(LOOPBACK, from_public=gate.leads_from_public)
    for address in ("192.168.1.2", "127.0.0.1"):
        with pytest.raises(AddressForbidden):
            following.open_socket((AF_INET, SOCK_STREAM, IPPROTO_TCP, "", (address, 80)))
    assert following.leads_from_public, "a chain stays public once it was"
    assert not Gate(LOOPBACK).leads_from_public


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001"])
async def test_a_forbidden_address_never_gets_a_packet(server: Server, host: str) -> None:
    """An IP literal, a name that resolves to it, another way to write it."""
    failed = await failure(server.url("/", host), OutboundPolicy())
    assert (failed.kind, failed.detail) == ("forbidden", "upstream_forbidden_address")
    assert server.open_at_most == 0


async def test_a_redirect_is_checked_like_the_first_address(server: Server) -> None:
    """A permitted host that sends to one that is not."""
    server.answers["/"] = redirect(server.url("/", "127.0.0.2"))
    failed = await failure(server.url("/"), OutboundPolicy((ip_network("127.0.0.1/32"),)))
    assert failed.kind == "forbidden"
    assert len(server.heads) == 1


class OneHostIsPublic(OutboundPolicy):
    """A map of the world with the internet at 127.0.0.1 and a home at 127.0.0.2."""

    def is_public(self, address: Address) -> bool:
        return address == ip_address("127.0.0.1")


@pytest.mark.parametrize("hops", [1, 2])
async def test_a_redirect_from_a_public_host_ends_at_the_door_of_the_house(
    server: Server, hops: int
) -> None:
    """Straight or by way of another public host, though the network is named."""
    listener = await asyncio.start_server(server.serve, "127.0.0.2", server.port)
    home = server.url("/home", "127.0.0.2")
    server.answers |= {"/1": redirect(home), "/2": redirect("/1"), "/home": ok(b"")}
    policy = OneHostIsPublic(LOOPBACK.allow)
    assert (await failure(server.url(f"/{hops}"), policy)).kind == "forbidden"
    assert len(server.heads) == hops
    async with outbound(policy) as client, await client.get(home, {}) as response:
        assert response.status == 200, "asked for by name it may be reached"
    listener.close()


# Requests


async def test_redirects_are_followed_one_connection_at_a_time(server: Server) -> None:
    """Absolute and relative, and never two sockets at once: providers count them."""
    server.answers |= {
        "/1": redirect("/2", 301),
        "/2": redirect(server.url("/3?t=a%2Fb~"), 307),
        "/3?t=a%2Fb~": ok(b"body"),
    }
    server.waits_for_close = True
    async with outbound() as client, await client.get(server.url("/1"), {}) as response:
        assert await response.read() == b"body"
    assert server.open_at_most == 1


async def test_redirects_end(server: Server) -> None:
    """After five hops it is a loop."""
    server.answers["/"] = redirect("/")
    assert (await failure(server.url("/"))).kind == "redirect_loop"
    assert len(server.heads) == REDIRECT_HOPS_MAX + 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/x", "https://", "//["])
async def test_a_redirect_to_what_is_no_web_address_is_refused(
    server: Server, location: str
) -> None:
    """Only http and https lead anywhere."""
    server.answers["/"] = redirect(location)
    assert (await failure(server.url("/"))).detail == "upstream_bad_url"


async def test_credentials_stay_with_their_origin(server: Server) -> None:
    """Kept for a hop to the same host and port, dropped for another; the user agent goes along."""
    server.answers |= {
        "/1": redirect("/2"),
        "/2": redirect(server.url("/3", "localhost")),
        "/3": ok(b""),
    }
    url = server.url("/1").replace("://", "://me:secret@")
    headers = {"Cookie": "c=1", "User-Agent": "ua", "X-Other": "x"}
    async with outbound() as client, await client.get(url, headers):
        pass
    first, second, third = server.heads
    for head in (first, second):
        assert "Authorization: Basic bWU6c2VjcmV0" in head
        assert "Cookie: c=1" in head
    assert "Authorization" not in third
    assert "Cookie" not in third
    assert "User-Agent: ua" in third


async def test_a_url_is_asked_for_as_it_was_written(server: Server) -> None:
    """Signed paths and queries do not survive another way of quoting."""
    path = "/a%7Eb/%2F/c~d;x=1/e,f?q=%41&r=a+b&s=[1]"
    server.answers[path] = ok(b"")
    async with outbound() as client, await client.get(server.url(path), {}):
        pass


async def test_no_answer_is_asked_for_twice(server: Server) -> None:
    """A connection that breaks before the status line is one request, not two."""
    server.answers["/"] = b""
    assert (await failure(server.url("/"))).detail == "upstream_reset"
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "detail"),
    [
        (b"HTTP/1.1 404 No\r\n\r\n", "http_status", "upstream_http_404"),
        (b"HTTP/1.1 304 Same\r\n\r\n", "http_status", "upstream_http_304"),
        (b"HTTP/1.1 302 Nowhere\r\n\r\n", "http_status", "upstream_http_302"),
        (b"not http at all\r\n\r\n", "protocol", "upstream_bad_http"),
    ],
)
async def test_an_answer_without_a_body_to_read_has_its_word(
    server: Server, answer: bytes, kind: str, detail: str
) -> None:
    """The words stand in the log."""
    server.answers["/"] = answer
    failed = await failure(server.url("/"))
    assert (failed.kind, failed.detail) == (kind, detail)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("999999999999", 3600.0), ("soon", None), ("-1", None), ("", None)],
)
async def test_retry_after_is_told_in_seconds(
    server: Server, text: str, seconds: float | None
) -> None:
    """At most an hour."""
    server.answers["/"] = f"HTTP/1.1 503 Busy\r\nRetry-After: {text}\r\n\r\n".encode()
    failed = await failure(server.url("/"))
    assert (failed.status, failed.retry_after_s) == (503, seconds)


async def test_each_fault_of_connecting_has_its_own_word(server: Server) -> None:
    """Nobody listening, no TLS, a host name or URL that cannot be."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    free_port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    assert (await failure(f"http://127.0.0.1:{free_port}/")).detail == "upstream_refused"
    plain = await asyncio.start_server(answer_anything, "127.0.0.1", 0)
    plain_port = plain.sockets[0].getsockname()[1]
    assert (await failure(f"https://127.0.0.1:{plain_port}/")).detail == "upstream_tls"
    plain.close()
    for url in ("http://a..b/", "http://h:99999/", "http://[", "", "/x", f"http://{'a' * 64}/"):
        assert (await failure(url)).detail == "upstream_bad_url"


async def test_a_host_that_says_nothing_is_given_up(server: Server) -> None:
    """The header has a deadline, over all hops together."""
    server.answers["/"] = b"HTTP/1.1 200 OK\r\n"
    server.hold = asyncio.Event().wait  # type: ignore[assignment]
    failed = await failure(server.url("/"), head_timeout_s=0.2)
    assert (failed.kind, failed.detail) == ("timeout", "upstream_head_timeout")


# Playlists


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}", "file://localhost{}"])
async def test_a_playlist_is_read_from_a_file(tmp_path: Path, form: str) -> None:
    """By path or `file:` URL; blanks and percent signs included."""
    path = tmp_path / "my list.m3u"
    path.write_bytes(PLAYLIST)
    location = str(path) if form == "{}" else form.format(str(path).replace(" ", "%20"))
    lineup, report = await load(location)
    assert [channel.guide_name for channel in lineup.channels] == ["A"]
    assert (len(report.listing.entries), report.odd_lines) == (1, 0)


async def test_a_playlist_is_read_over_http(server: Server) -> None:
    """Plain, compressed on the way, compressed as a file, or both."""
    packed = gzip.compress(PLAYLIST)
    server.answers |= {
        "/1": ok(PLAYLIST),
        "/2": ok(packed, "Content-Encoding: gzip"),
        "/3": ok(packed),
        "/4": ok(gzip.compress(packed), "Content-Encoding: gzip"),
        "/5": b"HTTP/1.0 200 OK\r\n\r\n" + PLAYLIST,
    }
    digests = {(await load(server.url(f"/{n}")))[0].digest for n in range(1, 6)}
    assert len(digests) == 1


async def test_the_report_says_what_was_odd(tmp_path: Path) -> None:
    """How many lines, the first of them by number; what is not http cannot be played yet."""
    path = tmp_path / "list.m3u"
    path.write_bytes(LOST + PLAYLIST)
    lineup, report = await load(str(path))
    assert len(lineup) == 1
    assert (len(report.listing.entries), report.odd_lines) == (2, 2)
    assert [odd.line for odd in report.first_odd] == [4, 6]


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", PlaylistEmpty, "is empty"),
        (b" \n\n", PlaylistEmpty, "is empty"),
        (b"#EXTM3U\n", PlaylistEmpty, "holds no channel"),
        (b"#EXTM3U\n#EXTINF:-1,A\n", PlaylistEmpty, "line 2: entry without a URL"),
        (b"#EXTM3U\n#EXTINF:-1,A\nftp://h/1\n", PlaylistEmpty, "none of http"),
        (b"<!DOCTYPE html><html>Login</html>", NotAPlaylist, "a web page"),
        (b"\xef\xbb\xbf \n<?xml version='1.0'?><tv/>", NotAPlaylist, "XML"),
        (b'{"user_info":{"auth":0}}', NotAPlaylist, "JSON"),
        (b"Not Found", NotAPlaylist, "is not M3U"),
        (b"G@\0\x10\0" * 300, NotAPlaylist, "binary data"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nhttp://h/1.ts", NotAPlaylist, "HLS"),
        (b"\x1f\x8b broken", NotAPlaylist, "gzip"),
        (gzip.compress(bytes(60_000_000)), NotAPlaylist, "gzip"),
    ],
)
async def test_what_is_no_playlist_gets_one_clear_line(
    server: Server, body: bytes, error: type[LineupError], says: str
) -> None:
    """It names the place, without the login in it, and what to do."""
    server.answers["/get.php?username=USER&password=PASS"] = ok(body)
    with pytest.raises(error, match=says) as caught:
        await load(server.url("/get.php?username=USER&password=PASS"))
    text = str(caught.value)
    assert f"127.0.0.1:{server.port}/get.php" in text
    assert "\n" not in text
    assert "USER" not in text
    assert "PASS" not in text


async def test_a_status_says_what_to_do(server: Server) -> None:
    """A refused login is told as one; the status can be read from the error."""
    server.answers["/"] = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    with pytest.raises(PlaylistUnreadable, match=r"HTTP status 403; check the login") as caught:
        await load(server.url("/"))
    assert caught.value.status == 403


async def test_half_a_playlist_is_none(server: Server) -> None:
    """A body shorter than promised is a fault, not a short list."""
    server.answers["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + PLAYLIST
    with pytest.raises(PlaylistUnreadable, match="broke before its end"):
        await load(server.url("/"))


async def test_a_playlist_without_end_is_given_up(server: Server, tmp_path: Path) -> None:
    """By size, from a file and over HTTP, and by time."""
    server.answers["/"] = ok(PLAYLIST * 100)
    path = tmp_path / "list.m3u"
    path.write_bytes(PLAYLIST * 100)
    for location in (server.url("/"), str(path)):
        with pytest.raises(PlaylistUnreadable, match="more than"):
            await load(location, bytes_max=1000)
    server.answers["/slow"] = b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n"
    server.hold = asyncio.Event().wait  # type: ignore[assignment]
    with pytest.raises(PlaylistUnreadable, match=r"not complete after 0\.2 s"):
        await load(server.url("/slow"), total_timeout_s=0.2)


async def test_a_place_that_is_no_readable_file_is_named(tmp_path: Path) -> None:
    """Missing, a directory, a pipe nobody writes to, another machine, another scheme."""
    os.mkfifo(tmp_path / "pipe")
    for location, says in (
        (f"{tmp_path}/none.m3u", "no such file"),
        (str(tmp_path), "is a directory"),
        (f"{tmp_path}/pipe", "is not a file"),
        ("/dev/zero", "is not a file"),
        ("file://other/list.m3u", "another machine"),
        ("file://[", "not a file: URL"),
        ("ftp://h/list.m3u", "not a place to read from"),
        ("a\0b", "not a path"),
    ):
        with pytest.raises(PlaylistUnreadable, match=says):
            await load(location)


# Store


async def test_a_lineup_outlives_the_process(tmp_path: Path) -> None:
    """What was saved is loaded whole, again after a change; the file is its owner's alone."""
    path = tmp_path / "list.m3u"
    path.write_bytes(
        PLAYLIST + b'#EXTINF:-1 tvg-chno="7.1" group-title="G" tvg-logo="http://l/1.png",B\n'
        b"http://h/2|User-Agent=x\n" + PLAYLIST.replace(b"1.ts", b"9.ts")
    )
    store = LineupStore(tmp_path / "lineup.db")
    assert store.load() == Lineup.EMPTY
    (tmp_path / "lineup.db").touch(0o644)
    assert store.load() == Lineup.EMPTY
    lineup, _ = await load(str(path))
    for _ in range(2):
        store.replace(lineup.parts(), lineup.digest, GivenNumbers())
    stored = store.load()
    assert stored.channels == lineup.channels
    assert stored.digest == lineup.digest
    assert stat.S_IMODE((tmp_path / "lineup.db").stat().st_mode) == 0o600
    store.replace(Lineup.EMPTY.parts(), "", GivenNumbers())
    assert store.load() == Lineup.EMPTY


async def test_a_save_that_fails_changes_nothing(tmp_path: Path) -> None:
    """One transaction: the old lineup is there until the new one is whole."""
    path = tmp_path / "list.m3u"
    path.write_bytes(PLAYLIST)
    store = LineupStore(tmp_path / "lineup.db")
    lineup, _ = await load(str(path))
    store.replace(lineup.parts(), lineup.digest, GivenNumbers())
    connection = open_writer(tmp_path / "lineup.db")
    connection.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON lineup BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    connection.close()
    with pytest.raises(StoreUnusable, match="full"):
        store.replace(Lineup.EMPTY.parts(), "", GivenNumbers())
    assert store.load() == lineup


def test_a_store_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Noise, a newer release's, a directory that is not there: which file, and what to do."""
    (tmp_path / "noise.db").write_bytes(b"noise" * 1000)
    newer = open_writer(tmp_path / "newer.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    for name, says in (("noise.db", "not a"), ("newer.db", "newer release")):
        store = LineupStore(tmp_path / name)
        with pytest.raises(StoreUnusable, match=f"stored lineup {tmp_path}/{name}.*{says}"):
            store.load()
        with pytest.raises(StoreUnusable, match=says):
            store.replace(Lineup.EMPTY.parts(), "", GivenNumbers())
    with pytest.raises(StoreUnusable, match="No such file"):
        LineupStore(tmp_path / "none" / "lineup.db").replace(
            Lineup.EMPTY.parts(), "", GivenNumbers()
        )
