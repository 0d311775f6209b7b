"""SSDP's messages, and who may ask how often."""

from ipaddress import ip_network

import pytest

from plexbridge.clock import ManualClock
from plexbridge.tuner.device import UPNP_DEVICE_TYPE, Device, udn
from plexbridge.tuner.discovery.askers import Askers
from plexbridge.tuner.discovery.upnp import (
    EVERYTHING,
    ROOT_DEVICE,
    SEARCH_BYTES_MAX,
    Announced,
    Search,
    alive,
    answers,
    bye,
    read_search,
)

UDN = udn(Device(device_id="1040A1B6", friendly_name="x", tuners=2))
OURS = Announced(UDN, "POSIX/1.0 UPnP/1.0 PlexBridge/1")
LOCATION = "http://192.168.1.10:5004/device.xml"


def search_bytes(
    first: str = "M-SEARCH * HTTP/1.1",
    man: str = 'MAN: "ssdp:discover"',
    st: str = "ST: ssdp:all",
    mx: str = "MX: 3",
) -> bytes:
    return f"{first}\r\nHOST: 239.255.255.250:1900\r\n{man}\r\n{mx}\r\n{st}\r\n\r\n".encode()


def fields(message: bytes) -> dict[str, str]:
    head, end = message.decode().split("\r\n\r\n")
    assert end == ""
    return dict(line.split(":", 1) for line in head.split("\r\n")[1:])


@pytest.mark.parametrize(
    ("data", "search"),
    [
        (search_bytes(), Search("ssdp:all", 3)),
        (search_bytes("M-SEARCH * HTTP/1.0"), Search("ssdp:all", 3)),
        (search_bytes(man="man:ssdp:discover", st="st:upnp:rootdevice"), Search(ROOT_DEVICE, 3)),
        (search_bytes(mx="MX: 99"), Search("ssdp:all", 5)),
        (search_bytes(mx="MX: " + "9" * 1_000), Search("ssdp:all", 5)),
        (search_bytes(mx="MX: -1"), Search("ssdp:all", 5)),
        (search_bytes(mx="X: 1"), Search("ssdp:all", 0)),
        (search_bytes().replace(b"\r\n", b"\n"), Search("ssdp:all", 3)),
        (search_bytes("NOTIFY * HTTP/1.1"), None),
        (search_bytes("M-SEARCH / HTTP/1.1"), None),
        (search_bytes("M-SEARCH * HTTP/2"), None),
        (search_bytes("m-search * HTTP/1.1"), None),
        (search_bytes(man='MAN: "ssdp:other"'), None),
        (search_bytes(st="ST:"), None),
        (search_bytes() + b"x" * SEARCH_BYTES_MAX, None),
        (b"", None),
        (b"\xff\x00" * 50, None),
        (b"M-SEARCH", None),
    ],
)
def test_searches_are_read_as_programs_write_them(data: bytes, search: Search | None) -> None:
    """Names in any case, the wait bounded; anything else is no search."""
    assert read_search(data) == search


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (EVERYTHING, [ROOT_DEVICE, UDN, UPNP_DEVICE_TYPE]),
        (ROOT_DEVICE, [ROOT_DEVICE]),
        (UDN.upper(), [UDN]),
        (UPNP_DEVICE_TYPE, [UPNP_DEVICE_TYPE]),
        ("urn:schemas-upnp-org:device:MediaRenderer:1", []),
        ("uuid:another", []),
    ],
)
def test_what_is_searched_is_answered_under_that_name(target: str, found: list[str]) -> None:
    """Everything by all of our names; a search for others by none."""
    replies = answers(Search(target, 0), OURS, LOCATION)
    assert [fields(reply)["ST"].strip() for reply in replies] == found
    for reply in replies:
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        read = {name: text.strip() for name, text in fields(reply).items()}
        assert read["LOCATION"] == LOCATION
        assert read["CACHE-CONTROL"] == "max-age=1800"
        assert read["EXT"] == ""
        assert read["USN"] == (UDN if read["ST"] == UDN else f"{UDN}::{read['ST']}")


def test_coming_and_going_are_announced_under_every_name() -> None:
    """A goodbye names no location; nothing but the kind differs in who is meant."""
    for messages, kind in ((alive(OURS, LOCATION), "ssdp:alive"), (bye(OURS), "ssdp:byebye")):
        read = [fields(message) for message in messages]
        assert [one["NT"].strip() for one in read] == [ROOT_DEVICE, UDN, UPNP_DEVICE_TYPE]
        assert {one["NTS"].strip() for one in read} == {kind}
        assert {"LOCATION" in one for one in read} == {kind == "ssdp:alive"}
        assert all(message.startswith(b"NOTIFY * HTTP/1.1\r\n") for message in messages)


def askers(clock: ManualClock) -> Askers:
    home = (ip_network("192.168.0.0/16"), ip_network("fe80::/10"))
    return Askers(home, clock.monotonic, per_second=2, total_per_second=5)


def test_only_trusted_networks_are_answered() -> None:
    """An IPv4 address in IPv6's clothes is itself; what is no address is nobody."""
    asking = askers(ManualClock())
    for address in ("192.168.1.9", "::ffff:192.168.1.9", "fe80::1"):
        assert asking.trusts(address)
    for address in ("8.8.8.8", "10.0.0.1", "::1", "", "example.org"):
        assert not asking.trusts(address)
        assert not asking.allows(address)


def test_each_address_and_all_together_are_bounded() -> None:
    """A second later there is room again; strangers take nothing from anybody."""
    clock = ManualClock()
    asking = askers(clock)
    assert not any(asking.allows("8.8.8.8") for _ in range(100))
    assert [asking.allows("192.168.1.9") for _ in range(3)] == [True, True, False]
    others = [asking.allows(f"192.168.2.{n}") for n in range(10)]
    assert others == [True] * 3 + [False] * 7
    clock.advance(1)
    assert asking.allows("192.168.1.9")
