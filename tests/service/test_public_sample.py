"""A real list of real channels, of many countries and scripts, becomes a lineup and has a guide."""

import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from tests.core.guide_rules import checked
from tests.end_to_end.running import RunningBridge, until
from tests.service.public_sample import SAMPLE, named_only, told, write_sample_guide

LEAST = 320
"""Channels that a sample of this kind must have."""
PAGE = 100
READ_S = 60.0


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """One that reads the sample and its guide."""
    folder = tmp_path_factory.mktemp("sample")
    playlist = folder / "list.m3u"
    playlist.write_bytes(SAMPLE.read_bytes())
    guide = write_sample_guide(folder / "guide.xml")
    arguments = ("--playlist", str(playlist), "--guide", str(guide))
    with RunningBridge(folder / "data", *arguments) as running:
        until("a guide", lambda: running.get("/api/guides")[0]["programmes"], within_s=READ_S)
        yield running


def fetched(bridge: RunningBridge, path: str) -> bytes:
    """The body of a good answer."""
    with urllib.request.urlopen(bridge.base + path, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def paged(bridge: RunningBridge, path: str, key: str | None = None) -> list[dict[str, Any]]:
    """All of a list that comes page by page."""
    found: list[dict[str, Any]] = []
    while True:
        after = f"&after={found[-1]['guide_number']}" if found else ""
        page = bridge.get(f"{path}?limit={PAGE}{after}")
        rows: list[dict[str, Any]] = page if key is None else page[key]
        found += rows
        if len(rows) < PAGE:
            return found


def test_every_channel_is_in_the_lineup_with_its_name(bridge: RunningBridge) -> None:
    """In the list's order, with ids and numbers of its own, in each form players ask for."""
    expected = told()
    assert len(expected) >= LEAST
    names = [one.name for one in expected]
    channels = paged(bridge, "/api/channels")
    assert [one["name"] for one in channels] == names
    assert [one["guide_number"] for one in channels] == [str(at + 1) for at in range(len(names))]
    assert len({one["id"] for one in channels}) == len(names)
    lineup = bridge.get("/lineup.json")
    assert [(one["GuideNumber"], one["GuideName"]) for one in lineup] == [
        (str(number), name) for number, name in enumerate(names, 1)
    ]
    entries = re.findall(
        r'^#EXTINF:-1 .* tvg-chno="(\d+)" .* group-title="([^"]*)",(.*)$',
        fetched(bridge, "/lineup.m3u").decode(),
        re.MULTILINE,
    )
    assert entries == [(str(at), one.group, one.name) for at, one in enumerate(expected, 1)]


def test_its_groups_are_those_of_the_list(bridge: RunningBridge) -> None:
    """With as many channels in each, those of none too."""
    found = {one["group"]: one["channels"] for one in bridge.get("/api/channels/groups")["groups"]}
    assert found == Counter(one.group for one in told())


def test_the_guide_finds_ids_and_foreign_names(bridge: RunningBridge) -> None:
    """Each id and each name in Greek, Cyrillic, Arabic, Japanese or with accents; of the others
    hardly any is guessed."""
    mapped = paged(bridge, "/api/guide", "channels")
    expected = told()
    by_name = named_only(expected)
    assert len(by_name) > 25
    assert [one["name"] for one in mapped] == [one.name for one in expected]
    how: Counter[str | None] = Counter()
    for one, channel in zip(expected, mapped, strict=True):
        mapping = channel["mapping"]
        how[mapping["how"]] += 1
        if one.tvg_id:
            assert (mapping["how"], mapping["guide_id"]) == ("id", one.tvg_id), one
        elif one.name in by_name:
            place = by_name.index(one.name)
            assert (mapping["how"], mapping["guide_id"]) == ("name", f"named{place}.example"), one
    assert how["id"] == sum(bool(one.tvg_id) for one in expected)
    assert how["name"] == len(by_name)
    assert how["similar"] <= 2, how


def test_the_guide_given_has_the_names_and_only_mapped_channels(bridge: RunningBridge) -> None:
    """A valid document, whatever is in the names."""
    root = checked(fetched(bridge, "/xmltv.xml"))
    names = {one.name for one in told()}
    shown = [texts(one) for one in root.iterfind("channel")]
    assert all(names & set(one) for one in shown)
    with_programmes = {one.get("channel") for one in root.iterfind("programme")}
    assert with_programmes == {one.get("id") for one in root.iterfind("channel")}
    sure = sum(bool(one.tvg_id) for one in told()) + len(named_only(told()))
    assert sure <= len(shown) <= sure + 2


def texts(channel: etree._Element) -> list[str]:
    """A channel's display names."""
    return [one.text or "" for one in channel.iterfind("display-name")]


def test_ids_and_numbers_stay_when_the_list_is_turned_round(
    bridge: RunningBridge,
) -> None:
    """At a second load of the same channels in another order, and with some of them gone."""
    before = numbers(bridge)
    text = SAMPLE.read_text().splitlines()[1:]
    pairs = list(zip(text[::2], text[1::2], strict=True))
    turned = [line for pair in reversed(pairs[40:]) for line in pair]
    playlist = bridge.data_dir.parent / "list.m3u"
    bridge.stop()
    try:
        playlist.write_text("\n".join(["#EXTM3U", *turned]) + "\n")
        bridge.start()
        until("the shorter list", lambda: len(bridge.get("/lineup.json")) < len(before))
        after = numbers(bridge)
        assert after.items() <= before.items()
        assert len(after) >= len(before) - 40
    finally:
        bridge.stop()
        playlist.write_bytes(SAMPLE.read_bytes())
        bridge.start()
    until("the whole list", lambda: len(bridge.get("/lineup.json")) == len(before))
    assert numbers(bridge) == before


def numbers(bridge: RunningBridge) -> dict[str, tuple[str, str]]:
    """Number and name, by id."""
    return {one["id"]: (one["guide_number"], one["name"]) for one in paged(bridge, "/api/channels")}
