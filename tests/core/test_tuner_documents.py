"""The HDHomeRun documents, and who is asking: what clients' parsers insist on."""

from xml.etree import ElementTree

import orjson
import pytest

from events.ids import ChannelId, SourceId
from events.limits import CLIENT_NAME_CHARS, USER_AGENT_CHARS
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.relay.ports import Upstream
from plexbridge.tuner.answers import BY_RULE, ended_unheard
from plexbridge.tuner.client import IDENTIFIER_CHARS, client_of
from plexbridge.tuner.device import (
    Device,
    device_xml,
    discover,
    lineup_json,
    lineup_m3u,
    lineup_status,
    lineup_xml,
    status,
)

BASE = "http://192.168.1.5:5004"
UPNP = "{urn:schemas-upnp-org:device-1-0}"
HOSTILE = "</friendlyName><script>alert(1)</script>&\"\x00\x1b'<"


def device(friendly_name: str = "PlexBridge") -> Device:
    return Device(device_id="1040A0B1", friendly_name=friendly_name, tuners=4)


def channel(number: str = "5.1", name: str = "One", **more: str) -> Channel:
    upstream = Upstream(
        source=SourceId("s"), url="http://u:secret@p/1", redacted="http://p/1", digest="0" * 16
    )
    ident = ChannelId(number.replace(".", "a").zfill(16))
    return Channel(id=ident, guide_number=number, guide_name=name, upstreams=(upstream,), **more)


def test_discover_has_an_integer_count_and_an_auth_of_24_characters() -> None:
    """As a string, Plex shows 49 tuners; longer auths overflow libhdhomerun's buffer."""
    document = discover(device(), BASE)
    assert document["TunerCount"] == 4
    assert type(document["TunerCount"]) is int
    assert len(document["DeviceAuth"]) == 24
    assert document["LineupURL"] == f"{document['BaseURL']}/lineup.json"
    assert document["DeviceID"] == "1040A0B1"


def test_the_lineup_is_never_scanning() -> None:
    """Integers, and a source in its own list."""
    document = lineup_status()
    assert (document["ScanInProgress"], document["ScanPossible"]) == (0, 1)
    assert document["Source"] in document["SourceList"]


def test_lineup_rows_have_text_numbers_and_no_zero_flags() -> None:
    """`5.10` is not `5.1`; a flag that is 0 is absent; the provider's address never shows."""
    rows = orjson.loads(lineup_json(Lineup([channel("5.1"), channel("5.10"), channel("7")]), BASE))
    assert [row["GuideNumber"] for row in rows] == ["5.1", "5.10", "7"]
    for row in rows:
        assert 0 not in row.values()
        assert row["URL"] == f"{BASE}/auto/v{row['GuideNumber']}"
        assert "?" not in row["URL"]
        assert "secret" not in str(row)
    assert not {"DRM", "Favorite"} & {name for row in rows for name in row}


def test_lineup_xml_parses_whatever_a_channel_is_called() -> None:
    """Control characters cannot stand in XML at all and are left out; the rest is escaped."""
    document = ElementTree.fromstring(lineup_xml(Lineup([channel("1", HOSTILE)]), BASE))
    assert [child.tag for child in document] == ["Program"]
    assert document.findtext("Program/GuideName") == HOSTILE.replace("\x00\x1b", "")
    assert document.findtext("Program/GuideNumber") == "1"


def test_device_xml_parses_with_a_hostile_friendly_name() -> None:
    """It stays text; the UDN follows from the device id alone."""
    document = ElementTree.fromstring(device_xml(device(HOSTILE), BASE))
    described = document.find(f"{UPNP}device")
    assert described is not None
    assert described.findtext(f"{UPNP}friendlyName") == HOSTILE.replace("\x00\x1b", "")
    assert document.find(".//script") is None
    again = ElementTree.fromstring(device_xml(device("another"), BASE))
    udn = described.findtext(f"{UPNP}UDN")
    assert udn is not None
    assert again.findtext(f"{UPNP}device/{UPNP}UDN") == udn


def test_the_m3u_survives_quotes_and_commas() -> None:
    """One entry stays two lines whose attributes close; the name is what follows the comma."""
    bad = channel("1", 'A "B", C', group='G"x" y="1', tvg_id='t"t')
    lines = lineup_m3u(Lineup([bad, channel("2", "Two")]), BASE).decode().splitlines()
    assert lines[0] == "#EXTM3U"
    assert len(lines) == 5
    attributes, name = lines[1].rsplit(",", 1)
    assert name == "A 'B'  C"
    assert "," not in attributes
    assert attributes.count('"') == 2 * 6, "six attributes, each opened and closed"
    assert lines[2] == f"{BASE}/stream/{bad.id}.ts"
    assert 'tvg-id="2.plexbridge"' in lines[3]


def test_an_idle_tuner_has_its_name_only() -> None:
    """As real ones answer; a busy one says what it tunes and at which rate, to whom if known."""
    rows = status(
        [
            {"tuner": 0, "channel": None, "client_address": None},
            {
                "tuner": 1,
                "channel": {"guide_number": "5.1", "name": "One"},
                "client_address": "192.168.1.9",
            },
            {"tuner": 2, "channel": {"guide_number": "2", "name": "T"}, "client_address": None},
        ],
        {1: 8_000_000},
    )
    assert rows[0] == {"Resource": "tuner0"}
    assert (rows[1]["VctNumber"], rows[1]["VctName"]) == ("5.1", "One")
    assert (rows[1]["NetworkRate"], rows[1]["TargetIP"]) == (8_000_000, "192.168.1.9")
    assert rows[2]["NetworkRate"] == 0
    assert "TargetIP" not in rows[2]


def test_every_refusal_has_an_hdhomerun_code_and_a_status() -> None:
    """The code's hundreds are 8; unknown things are 404 and the rest 503."""
    for rule, answer in BY_RULE.items():
        assert answer.status == (404 if rule.startswith("unknown_") else 503)
        assert answer.error[:2] == "80"
    assert ended_unheard("shutdown", "").error == "803 System Busy"
    assert ended_unheard("timeout", "upstream_no_data").error == "807 No Video Data"
    assert ended_unheard("stream_failed", "upstream_refused").error == "806 Tune Failed"


@pytest.mark.parametrize(
    ("user_agent", "name", "single_viewer"),
    [
        ("VLC/3.0.21 LibVLC/3.0.21", "VLC", True),
        ("Kodi/21.0 (X11; Linux x86_64) App_Bitness/64 Version/21.0", "Kodi", True),
        ("Lavf/60.16.100", "Plex or another media server", False),
        ("curl/8.5.0", "curl", False),
        ("Odd/1.0", "Odd", False),
        ("", "an unnamed player", False),
    ],
)
def test_a_player_is_named_by_its_user_agent(
    user_agent: str, name: str, single_viewer: bool
) -> None:
    """Only who plays for one viewer is one; ffmpeg's library reads for a whole server."""
    client = client_of("192.168.1.9", {"user-agent": user_agent}, {})
    assert (client.name, client.single_viewer, client.identified) == (name, single_viewer, False)


def test_an_identifier_makes_the_viewer_whatever_else_differs() -> None:
    """The session's before the client's, in a header or in the query, in any spelling."""
    headers = {"x-plex-client-identifier": "box", "user-agent": "a"}
    client = client_of("192.168.1.9", headers, {})
    assert client.identified
    elsewhere = client_of("192.168.1.8", {"user-agent": "b"}, {"X-Plex-Client-Identifier": "box"})
    assert elsewhere.key == client.key
    assert client_of("::1", {}, {"x_plex_client_identifier": "box"}).key == client.key
    surer = client_of("192.168.1.9", {**headers, "x-plex-session-identifier": "s"}, {})
    assert surer.key != client.key
    assert client_of("::1", {}, {"X-Plex-Session-Identifier": "s"}).key == surer.key


def test_without_one_address_and_whole_user_agent_make_the_viewer() -> None:
    """Also where two user agents differ only beyond what is shown of them."""
    one = client_of("192.168.1.9", {"user-agent": "a"}, {})
    assert client_of("192.168.1.9", {"user-agent": "a"}, {}).key == one.key
    assert client_of("192.168.1.9", {"user-agent": "b"}, {}).key != one.key
    assert client_of("192.168.1.8", {"user-agent": "a"}, {}).key != one.key
    long = "x" * (USER_AGENT_CHARS + 50)
    cut = client_of("192.168.1.9", {"user-agent": long + "1"}, {})
    other = client_of("192.168.1.9", {"user-agent": long + "2"}, {})
    assert cut.user_agent == other.user_agent
    assert cut.key != other.key


def test_what_strangers_send_is_cut_and_made_printable() -> None:
    """Bounded in every field, without control characters or direction marks."""
    hostile = "Evil\x00\x1b[31m\r\n\u202e" + "x" * 5_000
    headers = {"user-agent": hostile, "x-plex-device-name": hostile}
    client = client_of("192.168.1.9", headers, {"X-Plex-Client-Identifier": hostile})
    assert len(client.user_agent) == USER_AGENT_CHARS
    assert len(client.name) == CLIENT_NAME_CHARS
    assert len(client.key) <= len("id:") + IDENTIFIER_CHARS
    for text in (client.user_agent, client.name, client.key):
        assert text.isprintable()
    assert len(client_of("::1", {"user-agent": hostile}, {}).name) <= CLIENT_NAME_CHARS
