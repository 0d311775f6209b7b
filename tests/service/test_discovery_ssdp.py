"""SSDP over real sockets: searches answered, coming and going announced on the cable."""

import socket
import struct
import subprocess
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from plexbridge.tuner.device import UPNP_DEVICE_TYPE, udn
from plexbridge.tuner.discovery.presence import Presence
from plexbridge.tuner.discovery.upnp import GROUP, PORT
from tests.service.discovery_rig import DEVICE, heard, in_namespace, nothing_heard, presence, udp
from tests.service.network_namespaces import Machine, machine

__all__ = ["machine"]

SEARCH = b'M-SEARCH * HTTP/1.1\r\nHOST: x\r\nMAN: "ssdp:discover"\r\nMX: 2\r\nST: %s\r\n\r\n'
FAR = "10.214.199.9"
TARGETS = {"upnp:rootdevice", udn(DEVICE), UPNP_DEVICE_TYPE}


def announcing(there: Presence) -> int:
    """The port on which it answers."""
    there.announce(server="POSIX/1.0 UPnP/1.0 PlexBridge/1", random=lambda: 0.01, port=0)
    assert there.ssdp is not None
    return there.ssdp.port


def fields(message: bytes) -> dict[str, str]:
    lines = message.decode().removesuffix("\r\n\r\n").split("\r\n")
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines[1:])}


@pytest.mark.parametrize("target", ["ssdp:all", *sorted(TARGETS)])
async def test_a_search_is_answered_under_each_name(target: str) -> None:
    """With where the description is, at the address that was asked."""
    wanted = TARGETS if target == "ssdp:all" else {target}
    async with presence() as there:
        port = announcing(there)
        with udp() as program:
            program.sendto(SEARCH % target.encode(), ("127.0.0.1", port))
            replies = [fields((await heard(program))[0]) for _ in wanted]
            assert {reply["ST"] for reply in replies} == wanted
            assert {reply["LOCATION"] for reply in replies} == {"http://127.0.0.1:5004/device.xml"}
            assert nothing_heard(program)


async def test_strangers_nonsense_and_searches_for_others_have_no_answer() -> None:
    """A later search of a trusted program has."""
    async with presence(trusted=ip_network("127.0.0.2/32")) as there:
        port = announcing(there)
        with udp() as stranger, udp("127.0.0.2") as program:
            stranger.sendto(SEARCH % b"ssdp:all", ("127.0.0.1", port))
            for data in (b"", b"\0" * 65_000, b"NOTIFY * HTTP/1.1\r\n\r\n", SEARCH % b"urn:x"):
                program.sendto(data, ("127.0.0.1", port))
            program.sendto(SEARCH % b"upnp:rootdevice", ("127.0.0.1", port))
            assert fields((await heard(program))[0])["ST"] == "upnp:rootdevice"
            assert nothing_heard(program)
            assert nothing_heard(stranger)


async def test_coming_and_going_are_announced_on_the_cable(
    machine: Callable[[], Machine],
) -> None:
    """To the group, with our address on that cable; a search to the group is answered; what may
    not be routed goes to nobody behind a router."""
    other = machine()
    async with presence(other.bridge, trusted=ip_network("0.0.0.0/0")) as there:
        browser = in_namespace(other.name, lambda: udp(GROUP, PORT))
        program = in_namespace(other.name, lambda: udp("0.0.0.0"))
        with browser, program:
            joined = struct.pack("=4s4s", socket.inet_aton(GROUP), socket.inet_aton(other.own))
            browser.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
            port = announcing(there)
            alive = [fields((await heard(browser))[0]) for _ in TARGETS]
            assert {one["NT"] for one in alive} == TARGETS
            assert {one["NTS"] for one in alive} == {"ssdp:alive"}
            where = f"http://{other.bridge}:5004/device.xml"
            assert {one["LOCATION"] for one in alive} == {where}

            own = socket.inet_aton(other.own)
            program.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            program.sendto(SEARCH % b"upnp:rootdevice", (GROUP, port))
            reply, sender = await heard(program)
            assert sender == other.bridge
            assert fields(reply)["LOCATION"] == where

            await there.close()
            told = [fields((await heard(browser))[0]) for _ in TARGETS]
            while {one["NTS"] for one in told} != {"ssdp:byebye"}:  # announced twice at first
                told = [*told[1:], fields((await heard(browser))[0])]
            assert {one["NT"] for one in told} == TARGETS


async def test_an_answer_is_never_routed(machine: Callable[[], Machine]) -> None:
    """Who asks from behind a router, or pretends to, is sent nothing: there is a way to it, but no
    cable."""
    other = machine()
    ip("-n", other.name, "address", "add", FAR, "dev", f"{other.name}b")
    ip("route", "add", FAR, "via", other.own, "dev", f"{other.name}a")
    async with presence(other.bridge, trusted=ip_network("0.0.0.0/0")) as there:
        port = announcing(there)
        far = in_namespace(other.name, lambda: udp(FAR))
        near = in_namespace(other.name, lambda: udp("0.0.0.0"))
        with far, near:
            far.sendto(SEARCH % b"upnp:rootdevice", (other.bridge, port))
            near.sendto(SEARCH % b"upnp:rootdevice", (other.bridge, port))
            await heard(near)
            assert nothing_heard(far)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
