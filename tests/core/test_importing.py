"""What other bridges' files hold, and whose channel is which of ours."""

import io
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import Edit, Edits, apply
from plexbridge.lineup.edits_plan import plan
from plexbridge.lineup.edits_reading import patch_of
from plexbridge.lineup.importing import file
from plexbridge.lineup.importing.edits import Imported, imported
from plexbridge.lineup.importing.foreign import ForeignChannel, NotImportable
from plexbridge.lineup.importing.matching import match
from plexbridge.lineup.importing.original import original_channels
from plexbridge.lineup.importing.xepg import xepg_channels
from plexbridge.lineup.redact import digest
from tests.core.edit_rules import channel, edits, numbers

KEY = b"key"
URL = "http://host/live/user/pass/1.ts"

BACKUP: dict[str, Any] = {
    "version": "2.1.0",
    "timestamp": "2025-10-03T12:00:00.000Z",
    "data": {
        "channels": [
            {"id": "c1", "name": "One", "number": 101, "enabled": 1, "epg_id": "one.tv"},
            {"id": "c2", "name": "Two\x1b[2J", "number": 102, "enabled": 0, "logo": None},
            {
                "id": "c3",
                "name": "Three",
                "number": None,
                "enabled": True,
                "logo": "http://l/3.png",
            },
            "not a channel",
        ],
        "streams": [
            {"channel_id": "c1", "url": URL, "backup_urls": '["http://other/1"]', "enabled": 1},
            {"channel_id": "c1", "url": "http://off/1", "backup_urls": [], "enabled": 0},
            {"channel_id": "c2", "url": "http://two/1", "backup_urls": None},
            {"channel_id": "c9", "url": 5},
        ],
        "settings": {"password": "secret"},
    },
}
"""As the original's documents describe an export."""


def xepg_row(**fields: Any) -> dict[str, Any]:
    """A channel with everything that both programs write."""
    return {
        "_file.m3u.id": "M1",
        "_uuid.key": "",
        "_values": "BBC One bbc1.uk",
        "group-title": "UK",
        "name": "UK: BBC One",
        "tvg-id": "bbc1.uk",
        "tvg-logo": "http://logos/bbc1.png",
        "tvg-name": "UK: BBC One",
        "url": URL,
        "x-active": True,
        "x-category": "",
        "x-channelID": "101",
        "x-epg": "x-ID.0",
        "x-group-title": "British",
        "x-mapping": "bbcone.guide",
        "x-name": "BBC One",
        "x-xmltv-file": "X1.xml",
        **fields,
    }


def test_a_backup_of_the_original_is_read() -> None:
    """Channels with their streams' addresses; what is switched off there is off here."""
    one, two, three = original_channels(BACKUP)
    assert (one.told, one.tvg_id, one.enabled) == ("101 One", "one.tv", True)
    assert one.urls == (URL, "http://other/1")
    assert (two.name, two.enabled, two.urls) == ("Two [2J", False, ("http://two/1",))
    assert (three.number, three.logo, three.urls) == ("", "http://l/3.png", ())


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "2.0.0", "2.1", "2.1.0"])
def test_every_version_of_the_backup_is_read(version: str) -> None:
    """The first had no `data` around its lists."""
    assert len(original_channels({**BACKUP, "version": version})) == 3
    assert len(original_channels({**BACKUP["data"], "version": version})) == 3


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"version": "3.0.0", "data": {"channels": []}},
        {"version": "2.1.0", "data": {"channels": {}}},
        {"version": "2.1.0", "data": []},
    ],
)
def test_what_is_no_backup_is_refused(document: object) -> None:
    """In one line."""
    with pytest.raises(NotImportable):
        original_channels(document)


def test_xteve_and_threadfin_keep_the_playlists_values_beside_the_owners() -> None:
    """Theirs are what is matched, the owner's are what is brought along."""
    hidden = {"x-hide-channel": True, "x-active": True}
    rows = {
        "x-ID.0": xepg_row(),
        "x-ID.1": xepg_row(**{"x-mapping": "-", "x-active": False, "x-channelID": "7.0"}),
        "x-ID.2": xepg_row(**{"x-xmltv-file": "xTeVe Dummy", "x-mapping": "PPV", **hidden}),
    }
    one, two, three = xepg_channels(rows)
    assert one == ForeignChannel(
        name="BBC One",
        listed_name="UK: BBC One",
        listed_group="UK",
        tvg_id="bbc1.uk",
        urls=(URL,),
        number="101",
        group="British",
        enabled=True,
        logo="http://logos/bbc1.png",
        guide_id="bbcone.guide",
    )
    assert (two.enabled, two.guide_id, two.number) == (False, "", "7")
    assert (three.enabled, three.guide_id) == (False, "")


def test_settings_are_told_from_channels() -> None:
    """Both lie in one folder, and people name the wrong one."""
    with pytest.raises(NotImportable, match=r"xepg\.json beside them"):
        xepg_channels({"files": {"m3u": {}}, "filter": {}, "tuner": 4})
    others: list[object] = [{}, [], None, {"a": {"b": 1}}]
    for other in others:
        with pytest.raises(NotImportable, match="no channels"):
            xepg_channels(other)


def test_a_file_is_found_alone_in_its_folder_and_in_an_archive(tmp_path: Path) -> None:
    """Whatever of these is named; a byte-order mark is no fault."""
    body = b"\xef\xbb\xbf" + orjson.dumps({"x-ID.0": xepg_row()})
    (tmp_path / "xepg.json").write_bytes(body)
    archive = tmp_path / "backup.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xteve/settings.json", "{}")
        made.writestr("xteve/xepg.json", body)
    for place in (tmp_path, tmp_path / "xepg.json", archive):
        assert len(xepg_channels(file.read_document(place, "xepg.json"))) == 1


def test_what_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no JSON, no member, a damaged archive, an archive that unfolds without end."""
    (tmp_path / "text").write_text("<html>")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xepg.json", b" " * 2**20)
    (tmp_path / "bomb.zip").write_bytes(bomb.getvalue())
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as made:
        made.writestr("urls.json", "{}")
    monkeypatch.setattr(file, "FILE_BYTES_MAX", 2**16)
    names = ("nothing", "text", "broken.zip", "bomb.zip", "other.zip")
    for name in names:
        with pytest.raises(NotImportable):
            file.read_document(tmp_path / name, "xepg.json")
    with pytest.raises(NotImportable, match="folder"):
        file.read_document(tmp_path)


OURS = Lineup(
    (
        channel("a", "1", "UK: BBC One", "UK", tvg_id="bbc1.uk"),
        channel("b", "2", "UK: BBC One HD", "UK", tvg_id="bbc1.uk"),
        channel("c", "3", "Sky News", "UK"),
        channel("d", "4", "Sky News", "World"),
        channel("e", "5", "Arte", "World", upstreams=(digest(URL, KEY), "f")),
    )
)


def foreign(name: str, **fields: Any) -> ForeignChannel:
    """A channel of another bridge."""
    return ForeignChannel(name=name, **fields)


def mapped(*channels: ForeignChannel) -> dict[str, tuple[str, str]]:
    """Which of ours each is, and by which sign."""
    found = match(channels, OURS.everything, KEY)
    return {pair.foreign.name: (pair.ours.id, pair.sign) for pair in found.pairs}


def test_the_surest_sign_counts_first() -> None:
    """An address before a guide id, that before a name; spelling of case is nothing."""
    assert mapped(
        foreign("Anything", urls=("http://elsewhere/", URL), tvg_id="bbc1.uk"),
        foreign("Mine", listed_name="uk:  bbc one hd", tvg_id="BBC1.uk"),
        foreign("SKY NEWS", listed_group="World"),
    ) == {
        "Anything": ("e", "url"),
        "Mine": ("b", "id_and_name"),
        "SKY NEWS": ("d", "name_and_group"),
    }


def test_what_is_not_sure_is_not_mapped() -> None:
    """Two of ours alike, none of ours, or one that another has: each with its reason."""
    found = match(
        [
            foreign("Sky News"),
            foreign("Unknown", tvg_id="unknown"),
            foreign("Arte"),
            foreign("arte"),
        ],
        OURS.everything,
        KEY,
    )
    assert [pair.foreign.name for pair in found.pairs] == ["Arte"]
    assert {one.foreign.name: one.why for one in found.unmatched} == {
        "Sky News": "2 channels of ours have the same name",
        "Unknown": "no channel of ours is like it",
        "arte": "the channel of ours that is like it was taken by another",
    }


def bring(
    *channels: ForeignChannel, made: Edits | None = None, disable_others: bool = False
) -> tuple[Imported, Lineup]:
    """Import into `OURS` with these edits: what it comes to, and the lineup then."""
    before = made or {}
    served = apply(OURS, before)
    pairs = match(channels, OURS.everything, KEY).pairs
    found = imported(pairs, served, before, KEY, disable_others=disable_others)
    patches = {id_: patch_of(dict(patch)) for id_, patch in found.patches.items()}
    return found, plan(OURS, served, before, patches).lineup


def test_what_differs_becomes_an_edit() -> None:
    """And what does not, does not; upstreams take the order they had."""
    order = foreign(
        "Arte",
        urls=("http://elsewhere/", URL),
        number="77",
        logo="file:///etc/passwd",
        guide_id="arte.tv",
    )
    found, lineup = bring(order)
    assert found.patches == {"e": {"enabled": True, "tvg_id": "arte.tv", "guide_number": "77"}}
    assert numbers(lineup)["e"] == "77"
    swapped = Lineup((channel("e", "5", "Arte", upstreams=("f", digest(URL, KEY))),))
    [pair] = match([order], swapped.everything, KEY).pairs
    again = imported([pair], swapped, {}, KEY, disable_others=False)
    assert again.patches[pair.ours.id]["upstreams"] == [digest(URL, KEY)]


def test_a_channel_beside_the_import_makes_room() -> None:
    """For a number that it only happened to be listed under."""
    found, lineup = bring(foreign("Arte", number="1"))
    assert numbers(lineup) == {"e": "1", "a": "6", "b": "2", "c": "3", "d": "4"}
    assert (found.moved, found.left_out) == (1, ())


def test_a_number_that_was_given_here_stays() -> None:
    """The import goes without, and says so."""
    made = edits(a=Edit(guide_number="50"))
    found, lineup = bring(foreign("Arte", number="50"), made=made)
    assert (numbers(lineup)["a"], numbers(lineup)["e"]) == ("50", "5")
    assert found.left_out == ("50 Arte: UK: BBC One was given this number here",)


def test_numbers_that_cannot_be_are_left_out() -> None:
    """Two with one number, and what is no guide number."""
    found, lineup = bring(
        foreign("Arte", number="9"),
        foreign("UK: BBC One HD", number="9", enabled=False),
        foreign("Sky News", listed_group="UK", number="9"),
        foreign("Sky News", listed_group="World", number="1_1"),
    )
    assert numbers(lineup) == {"a": "1", "b": "2", "c": "3", "d": "4", "e": "9"}
    assert found.left_out == (
        "9 Sky News: Arte has it too",
        "1_1 Sky News: 1_1 is no guide number",
    )


def test_a_disabled_channel_takes_no_number_from_an_enabled_one() -> None:
    """Neither from one beside the import, nor from one in it that keeps its own."""
    for keeper in ((), (foreign("UK: BBC One", listed_group="UK"),)):
        found, lineup = bring(foreign("Arte", number="1", enabled=False), *keeper)
        assert numbers(lineup)["a"] == "1"
        assert found.left_out == ()


def test_an_edited_number_in_the_import_gives_way_to_it() -> None:
    """Where the file has none for that channel and gives its number to another."""
    made = edits(a=Edit(guide_number="50"))
    _, lineup = bring(
        foreign("Arte", number="50"), foreign("UK: BBC One", listed_group="UK"), made=made
    )
    assert (numbers(lineup)["e"], numbers(lineup)["a"]) == ("50", "1")


def test_everything_else_can_be_disabled() -> None:
    """So that players are given what they were given before."""
    found, lineup = bring(foreign("Arte", number="1"), disable_others=True)
    assert [one.id for one in lineup.channels] == ["e"]
    assert (found.moved, found.disabled, numbers(lineup)["e"]) == (0, 4, "1")
