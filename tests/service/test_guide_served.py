"""The whole bridge, started as a person would: its guide comes from the provider to the player."""

import urllib.request
from pathlib import Path

from lxml import etree

from tests.core.guide_rules import checked
from tests.end_to_end.running import RunningBridge, until
from tests.service.guide_maker import write_guide


def served(bridge: RunningBridge) -> etree._Element:
    """The valid document of this moment."""
    with urllib.request.urlopen(f"{bridge.base}/xmltv.xml", timeout=10) as answer:
        return checked(answer.read())


def test_the_demo_has_a_guide(tmp_path: Path) -> None:
    """Nine channels with programmes, and one recorded event says so."""
    with RunningBridge(tmp_path / "data", "--demo") as bridge:
        until("the guide is in force", lambda: served(bridge).findall("programme"))
        root = served(bridge)
        with_programmes = {one.get("channel") for one in root.iterfind("programme")}
        assert with_programmes == {f"{number}.plexbridge" for number in range(1, 10)}
        shown = bridge.command("events", "tail", "--json")
        assert '"guide"' in shown.stdout, shown.stderr


def test_a_guide_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    """`--guide FILE` beside `--playlist FILE`; after a restart it is there at once."""
    playlist, guide = tmp_path / "list.m3u", tmp_path / "guide.xml.gz"
    playlist.write_text(
        '#EXTM3U\n#EXTINF:-1 tvg-id="CHANNEL1.example",One\nhttp://127.0.0.1:9/1.ts\n'
    )
    write_guide(guide, channels=2, days=1)
    arguments = ("--playlist", str(playlist), "--guide", str(guide))
    with RunningBridge(tmp_path / "data", *arguments) as bridge:
        until("the guide is in force", lambda: served(bridge).findall("programme"))
        before = etree.tostring(served(bridge))
        bridge.stop()
        bridge.start()
        assert etree.tostring(served(bridge)) == before
