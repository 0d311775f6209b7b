"""`/xmltv.xml` over real sockets: valid, conditional, compressed, in little memory."""

import asyncio
import gzip
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from server_edge import Edge, read_to_end, running

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.guide.document import document, etag, now_next
from plexbridge.lineup.guide.job import Job, Wanted
from plexbridge.lineup.guide.process import build_apart
from plexbridge.lineup.guide.store import About, Guide, GuideDirectory, as_facts
from plexbridge.relay.ports import Upstream
from plexbridge.server.config import EdgeLimits
from plexbridge.tuner.guide import GuideRoute
from tests.core.guide_rules import checked
from tests.service.guide_maker import channel_ids, write_guide

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
DAY_S = 86_400


def channel(number: str, name: str, tvg_id: str) -> Channel:
    upstream = Upstream(source=SourceId("s"), url="http://h/1", redacted="http://h/1", digest="0")
    return Channel(
        id=ChannelId(number.replace(".", "a").zfill(16)),
        guide_number=number,
        guide_name=name,
        tvg_id=tvg_id,
        upstreams=(upstream,),
    )


LINEUP = Lineup(
    [
        channel("4.1", "A & <B>\x01", "a.x"),
        channel("5", "A & <B> HD", "a.x"),
        channel("7", "Unknown", "nowhere"),
    ]
)
BODY = (
    "<tv>"
    '<programme start="20260301120000 +0000" channel="a.x"><title>Now &amp; here</title>'
    "<sub-title>Part &lt;1&gt;</sub-title></programme>"
    '<programme start="20260301130000 +0000" stop="20260301160000 +0000" channel="a.x">'
    "<title>Overlong</title></programme>"
    '<programme start="20260301140000 +0100" channel="a.x"><title>Twice</title></programme>'
    '<programme start="20260301150000 +0000" channel="a.x"><title>Last</title><new/></programme>'
    "</tv>"
)


async def guide_of(directory: Path, source: Path, lineup: Lineup) -> Guide:
    """A guide, read by the worker."""
    files = GuideDirectory(directory)
    wanted = [Wanted(one.id, one.tvg_id, one.guide_name) for one in lineup.channels]
    about = as_facts(About(key="k", read_at=NOW_S, wanted="w"))
    await build_apart(
        Job(
            source=source,
            into=files.new("k"),
            wanted=wanted,
            begin=NOW_S - DAY_S,
            end=NOW_S + 14 * DAY_S,
            about=about,
        )
    )
    return Guide((files.put_in_force("k"),))


@pytest.fixture
async def guide(tmp_path: Path) -> Guide:
    source = tmp_path / "guide.xml"
    source.write_text(BODY)
    return await guide_of(tmp_path, source, LINEUP)


async def asked(edge: Edge, path: str, *headers: str, method: str = "GET") -> tuple[str, bytes]:
    """Head and body of one answer."""
    sock = await edge.connect()
    lines = [f"{method} {path} HTTP/1.0", "Host: x", *headers, "", ""]
    await asyncio.get_running_loop().sock_sendall(sock, "\r\n".join(lines).encode())
    head, _, body = (await asyncio.wait_for(read_to_end(sock), 20)).partition(b"\r\n\r\n")
    sock.close()
    return head.decode().lower(), body


def header(head: str, name: str) -> str:
    found = [line for line in head.split("\r\n") if line.startswith(f"{name}: ")]
    return found[0].partition(": ")[2] if found else ""


def test_the_document_has_what_players_match_by(guide: Guide) -> None:
    """Mapped channels only, each under its number's id, with name, number and both; programmes
    end where the next begins."""
    root = checked(b"".join(document(guide, LINEUP, everything=False)))
    names = {
        one.get("id"): [name.text for name in one.iterfind("display-name")]
        for one in root.iterfind("channel")
    }
    assert names == {
        "4.1.plexbridge": ["A & <B>", "4.1", "4.1 A & <B>"],
        "5.plexbridge": ["A & <B> HD", "5", "5 A & <B> HD"],
    }
    rows = [
        (one.get("start"), one.get("stop"), one.findtext("title"))
        for one in root.iterfind("programme[@channel='5.plexbridge']")
    ]
    assert rows == [
        ("20260301120000 +0000", "20260301130000 +0000", "Now & here"),
        ("20260301130000 +0000", "20260301150000 +0000", "Overlong"),
        ("20260301150000 +0000", "20260301160000 +0000", "Last"),
    ]


def test_logos_are_named_at_the_address_the_player_asked(guide: Guide) -> None:
    """Behind the names, as the document type has it; and the tag differs with the address."""
    icon = "http://10.0.0.2:3000/logos/0123&4567"
    pieces = document(
        guide, LINEUP, everything=False, icon=lambda c: icon if c.guide_number == "5" else ""
    )
    root = checked(b"".join(pieces))
    found = {one.get("id"): one.find("icon") for one in root.iterfind("channel")}
    assert found["4.1.plexbridge"] is None
    with_logo = found["5.plexbridge"]
    assert with_logo is not None
    assert with_logo.get("src") == icon
    tags = {etag(guide, LINEUP, everything=False, base_url=base) for base in ("", "http://a")}
    assert len(tags) == 2


def test_before_a_guide_was_read_the_whole_lineup_is_there(guide: Guide) -> None:
    """A player that is set up early finds its channels; afterwards all of them if it asks so."""
    early = checked(b"".join(document(Guide(()), LINEUP, everything=False)))
    assert len(early.findall("channel")) == 3
    assert early.findall("programme") == []
    everything = checked(b"".join(document(guide, LINEUP, everything=True)))
    assert len(everything.findall("channel")) == 3
    assert len(everything.findall("programme")) == 6


def test_now_and_next_are_told(guide: Guide) -> None:
    """With title and sub-title, unescaped; between programmes nothing is on."""
    ids = [one.id for one in LINEUP.channels]
    found = now_next(guide, ids, NOW_S + 60)
    assert set(found) == set(ids[:2])
    first = found[ids[0]]
    assert first.now is not None
    assert first.next is not None
    assert (first.now.title, first.now.sub_title) == ("Now & here", "Part <1>")
    assert (first.next.title, first.next.start) == ("Overlong", NOW_S + 3_600)
    early = now_next(guide, ids, NOW_S - 60)[ids[0]]
    assert early.now is None
    assert early.next is not None
    assert early.next.title == "Now & here"
    late = now_next(guide, ids, NOW_S + DAY_S)[ids[0]]
    assert (late.now, late.next) == (None, None)


async def test_it_is_conditional_and_compressed(guide: Guide) -> None:
    """304 for what a player has; another tag for gzip; a HEAD makes nothing."""
    async with running(EdgeLimits()) as edge:
        edge.apps["/xmltv.xml"] = GuideRoute(lambda: guide, lambda: LINEUP)
        head, body = await asked(edge, "/xmltv.xml")
        assert head.startswith("http/1.1 200")
        assert header(head, "content-type") == "application/xml; charset=utf-8"
        checked(body)
        tag = header(head, "etag")
        packed_head, packed = await asked(edge, "/xmltv.xml", "Accept-Encoding: deflate, gzip;q=1")
        assert header(packed_head, "content-encoding") == "gzip"
        assert gzip.decompress(packed) == body
        assert header(packed_head, "etag") not in ("", tag)
        assert "accept-encoding" in header(packed_head, "vary")
        plain_head, _ = await asked(edge, "/xmltv.xml", "Accept-Encoding: gzip;q=0, *")
        assert header(plain_head, "content-encoding") == ""
        for known in (tag, f'"x", W/{tag}', "*"):
            again, nothing = await asked(edge, "/xmltv.xml", f"If-None-Match: {known}")
            assert again.startswith("http/1.1 304")
            assert (header(again, "etag"), nothing) == (tag, b"")
        probe, nothing = await asked(edge, "/xmltv.xml", method="HEAD")
        assert probe.startswith("http/1.1 200")
        assert nothing == b""
        all_head, everything = await asked(edge, "/xmltv.xml?channels=all")
        assert len(checked(everything).findall("channel")) == 3
        assert header(all_head, "etag") != tag


async def test_what_is_being_sent_is_not_changed_by_a_new_guide(
    tmp_path: Path, guide: Guide
) -> None:
    """Who began with the old one ends with it."""
    pieces = document(guide, LINEUP, everything=False)
    source = tmp_path / "guide.xml"
    source.write_text(BODY.replace("Last", "Newest"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plexbridge.lineup.guide.document.PIECE_CHARS", 1)
        begun = [next(pieces)]
        newer = await guide_of(tmp_path, source, LINEUP)
        assert b"Last" in b"".join([*begun, *pieces])
    assert b"Newest" in b"".join(document(newer, LINEUP, everything=False))


async def test_a_damaged_file_is_an_error_and_no_half_document(guide: Guide) -> None:
    """503 before the first byte."""
    guide.stored[0].path.unlink()
    async with running(EdgeLimits()) as edge:
        edge.apps["/xmltv.xml"] = GuideRoute(lambda: guide, lambda: LINEUP)
        head, body = await asked(edge, "/xmltv.xml")
    assert head.startswith("http/1.1 503")
    assert body == b""


@pytest.mark.parametrize(
    ("channels", "days"),
    [(100, 7), pytest.param(2_000, 7, marks=[pytest.mark.long, pytest.mark.timeout(300)])],
)
async def test_a_big_document_takes_little_memory(tmp_path: Path, channels: int, days: int) -> None:
    """Of 2,000 channels in 7 days at most 64 MB are in memory; ours are under 8."""
    source = tmp_path / "guide.xml.gz"
    write_guide(source, channels=channels, begin=NOW - timedelta(hours=1), days=days)
    lineup = Lineup(
        channel(str(number), f"Channel {number}", guide_id)
        for number, guide_id in enumerate(channel_ids(channels), 1)
    )
    guide = await guide_of(tmp_path, source, lineup)
    tracemalloc.start()
    size = sum(len(piece) for piece in document(guide, lineup, everything=False))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    began = time.process_time()
    for _ in document(guide, lineup, everything=False):
        pass
    used_s = time.process_time() - began
    print(f"{size:,} bytes in {used_s:.2f} s CPU, {peak:,} bytes of memory")
    assert size > channels * days * 48 * 300
    assert peak < 8_000_000
