"""Who is answered in discovery, with what; and what the variables of the protocol say."""

from collections.abc import Sequence
from typing import Any

import pytest

from plexbridge.tuner.device import DEVICE_AUTH, Device
from plexbridge.tuner.discovery.answers import (
    BASE_URL_CHARS_HEARD,
    UNKNOWN_VARIABLE,
    URL_BYTES_MAX,
    VALUE_BYTES_MAX,
    Refusal,
    discover_reply,
    getset_reply,
)
from plexbridge.tuner.discovery.packets import Packet, PacketType, Tag, decode, encode
from plexbridge.tuner.discovery.variables import (
    LOCKED,
    NOT_BY_THIS_PROTOCOL,
    READ_ONLY,
    Shown,
    getset,
)

BASE = "http://192.168.1.10:5004"
DEVICE = Device(device_id="1040A1B6", friendly_name="x", tuners=2)

SEARCHES = {
    "any type, any id (before 2025, Jellyfin)": "0002000c 0104ffffffff 0204ffffffff 73cc7d8f",
    "tuner, any id (Kodi)": "0002000c 010400000001 0204ffffffff 4e507f35",
    "any type, no id (since 2025)": "00020006 0104ffffffff 4c20cb4e",
    "tuner and storage (since 2025)": "0002000a 2d080000000100000005 4f63391f",
    "by our id": "0002000c 0104ffffffff 02041040a1b6 dead5be4",
}


def search(*tags: tuple[Tag, str]) -> Packet:
    return Packet(
        PacketType.DISCOVER_REQUEST, tuple((tag, bytes.fromhex(value)) for tag, value in tags)
    )


@pytest.mark.parametrize("form", SEARCHES)
def test_every_form_of_search_is_answered_as_a_real_unit_does(form: str) -> None:
    """Tags in a real unit's order; the URLs without a NUL."""
    reply = discover_reply(decode(bytes.fromhex(SEARCHES[form])), DEVICE, BASE)
    assert reply is not None
    packet = decode(reply)
    assert packet.type == PacketType.DISCOVER_REPLY
    assert packet.tags == (
        (Tag.DEVICE_TYPE, b"\0\0\0\1"),
        (Tag.DEVICE_ID, bytes.fromhex("1040A1B6")),
        (Tag.DEVICE_AUTH, DEVICE_AUTH.encode()),
        (Tag.BASE_URL, BASE.encode()),
        (Tag.TUNER_COUNT, b"\2"),
        (Tag.LINEUP_URL, f"{BASE}/lineup.json".encode()),
    )


def test_the_whole_reply_is_the_librarys_byte_for_byte() -> None:
    """With the auth of the measured one in place of ours."""
    expected = bytes.fromhex(
        "00030069 010400000001 02041040a1b6"
        "2b186162636465666768696a6b6c6d6e6f7071727374757677782a18"
        "687474703a2f2f3139322e3136382e312e31303a35303034100102"
        "2724687474703a2f2f3139322e3136382e312e31303a353030342f6c696e6575702e6a736f6e 646d5a9e"
    )
    reply = discover_reply(search(), DEVICE, BASE)
    assert reply is not None
    letters = b"abcdefghijklmnopqrstuvwx"
    tags = [(Tag(t), letters if t == Tag.DEVICE_AUTH else v) for t, v in decode(reply).tags]
    assert encode(PacketType.DISCOVER_REPLY, tags) == expected


@pytest.mark.parametrize(
    "request_of",
    [
        search((Tag.DEVICE_TYPE, "00000005")),
        search((Tag.MULTI_TYPE, "0000000500000007")),
        search((Tag.DEVICE_ID, "10439efd")),
        search((Tag.DEVICE_TYPE, "00000001"), (Tag.DEVICE_ID, "10439efd")),
        Packet(PacketType.DISCOVER_REPLY, ()),
        Packet(PacketType.GETSET_REQUEST, ((Tag.GETSET_NAME, b"/sys/model\0"),)),
        Packet(6, ()),
    ],
)
def test_other_searches_are_not_answered(request_of: Packet) -> None:
    """Storage only, another id, and packets that are no search, other units' replies included."""
    assert discover_reply(request_of, DEVICE, BASE) is None


def test_a_search_without_a_tag_asks_for_any() -> None:
    """As the oldest programs ask."""
    assert discover_reply(search(), DEVICE, BASE) is not None


def test_the_tuner_count_has_one_byte() -> None:
    """A thousand tuners are said to be 255."""
    many = Device(device_id="1040A1B6", friendly_name="x", tuners=1_000)
    reply = discover_reply(search(), many, BASE)
    assert reply is not None
    assert decode(reply).first(Tag.TUNER_COUNT) == b"\xff"


def test_any_address_with_its_port_is_short_enough_for_old_libraries() -> None:
    """They keep 28 characters; a URL beyond what a packet should hold is left out."""
    assert len("http://255.255.255.255:65535") == BASE_URL_CHARS_HEARD
    reply = discover_reply(search(), DEVICE, "http://" + "x" * URL_BYTES_MAX)
    assert reply is not None
    assert {tag for tag, _ in decode(reply).tags} == {0x01, 0x02, 0x2B, 0x10}


def asked(name: bytes, value: bytes | None = None) -> Packet:
    tags: list[tuple[int, bytes]] = [(Tag.GETSET_NAME, name)]
    if value is not None:
        tags.append((Tag.GETSET_VALUE, value))
    return Packet(PacketType.GETSET_REQUEST, tuple(tags))


def test_variables_are_answered_as_a_real_unit_does() -> None:
    """Byte for byte, the error included; strings end with a NUL that is counted."""

    def model(name: str, given: str | None) -> str | Refusal:
        assert given is None
        return "hdhomerun5_atsc" if name == "/sys/model" else UNKNOWN_VARIABLE

    assert getset_reply(asked(b"/sys/model\0"), model) == bytes.fromhex(
        "0005001f 030b2f7379732f6d6f64656c00 04106864686f6d6572756e355f6174736300 1e5fd121"
    )
    assert getset_reply(asked(b"/sys/nope\0"), model) == bytes.fromhex(
        "0005002d 030a2f7379732f6e6f706500 051f4552524f523a20756e6b6e6f776e20676574736574207661"
        "726961626c6500 1acf57e1"
    )


def test_what_is_no_request_for_a_variable_has_no_answer() -> None:
    """Without a name, with an enormous one, or another packet altogether."""
    nothing = Packet(PacketType.GETSET_REQUEST, ())
    for request in (nothing, asked(b"x" * 1_400), search()):
        assert getset_reply(request, lambda name, given: "value") is None


def test_a_long_value_is_cut_between_characters() -> None:
    """So that it fits one packet and stays text."""
    reply = getset_reply(asked(b"n" * 255), lambda name, given: "ä" * 2_000)
    assert reply is not None
    value = decode(reply).first(Tag.GETSET_VALUE)
    assert value is not None
    assert value.removesuffix(b"\0").decode() == "ä" * (VALUE_BYTES_MAX // 2)


def test_the_value_to_set_reaches_the_variable() -> None:
    """Without its NUL."""
    heard: list[tuple[str, str | None]] = []

    def hear(name: str, given: str | None) -> str:
        heard.append((name, given))
        return given or ""

    getset_reply(asked(b"/tuner0/lockkey\0", b"none\0"), hear)
    assert heard == [("/tuner0/lockkey", "none")]


def shown(rows: Sequence[dict[str, Any]] = ()) -> Shown:
    return Shown(tuners=2, channels=3, rows=rows, rates={1: 8_000_000})


BUSY = shown(
    [
        {"tuner": 0, "channel": None, "client_address": None},
        {
            "tuner": 1,
            "channel": {"guide_number": "5.1", "name": "One\nand \u202ea half"},
            "client_address": "192.168.1.9",
        },
    ]
)

SAID = {
    "/sys/model": "hdhomerun5_atsc",
    "/sys/hwmodel": "HDHR5-4US",
    "/sys/version": "20250815",
    "/lineup/scan": "state=complete progress=100 found=3",
    "/tuner0/status": "ch=none lock=none ss=0 snq=0 seq=0 bps=0 pps=0",
    "/tuner0/vstatus": "vch=none",
    "/tuner0/channel": "none",
    "/tuner0/vchannel": "none",
    "/tuner0/streaminfo": "none",
    "/tuner0/target": "none",
    "/tuner0/lockkey": "none",
    "/tuner0/channelmap": "us-bcast",
    "/tuner1/status": "ch=auto:0 lock=8vsb ss=100 snq=100 seq=100 bps=8000000 pps=759",
    "/tuner1/vstatus": "vch=5.1 name=One_and_a_half auth=unspecified cci=none",
    "/tuner1/vchannel": "5.1",
    "/tuner1/streaminfo": "1: 5.1 One and  a half\n",
}


@pytest.mark.parametrize("name", SAID)
def test_variables_say_what_programs_read(name: str) -> None:
    """Idle and busy tuners; a provider's odd channel name stays on its line."""
    assert getset(BUSY, name, None) == SAID[name]


@pytest.mark.parametrize(
    "name",
    [
        *("", "/sys/nope", "/sys/restart", "/tuner2/status", "/tuner01/status", "/tuner-1/status"),
        *("/tuner0/nope", "/tuner99999/status", "/tuner0", "/TUNER0/status", "/tuner\u0661/status"),
    ],
)
def test_anything_else_is_an_unknown_variable(name: str) -> None:
    """In a real unit's words, to get and to set."""
    assert getset(BUSY, name, None) == UNKNOWN_VARIABLE
    assert getset(BUSY, name, "x") == UNKNOWN_VARIABLE


def test_help_lists_every_variable() -> None:
    """And each of them has a value."""
    listed = getset(BUSY, "help", None)
    assert isinstance(listed, str)
    names = [name for name in listed.splitlines() if name.startswith("/")]
    assert len(names) > 12
    assert len(listed) < VALUE_BYTES_MAX
    for name in names:
        assert isinstance(getset(BUSY, name.replace("<n>", "1"), None), str)


def test_setting_what_is_so_already_is_granted_and_nothing_else() -> None:
    """Programs let go of a tuner so; what would change something says why not."""
    assert getset(BUSY, "/tuner0/lockkey", "none") == "none"
    assert getset(BUSY, "/tuner0/channel", "none") == "none"
    assert getset(BUSY, "/tuner0/channel", "auto:7") == NOT_BY_THIS_PROTOCOL
    assert getset(BUSY, "/tuner0/target", "udp://192.168.1.9:5000") == NOT_BY_THIS_PROTOCOL
    assert getset(BUSY, "/tuner1/channel", "none") == LOCKED
    assert getset(BUSY, "/tuner0/status", "x") == READ_ONLY
    assert getset(BUSY, "/sys/model", "x") == READ_ONLY
