"""HDHomeRun discovery over real sockets: who is answered, from where, and what changes nothing."""

import random
import socket
from collections.abc import Callable
from ipaddress import ip_network

from structlog.testing import capture_logs

from plexbridge.tuner.discovery.packets import Tag, decode
from plexbridge.tuner.discovery.presence import Presence
from plexbridge.tuner.discovery.udp import SEARCHES_PER_SECOND
from tests.service.discovery_rig import (
    DEVICE,
    SEARCH,
    heard,
    in_namespace,
    nothing_heard,
    presence,
    udp,
    variables,
)
from tests.service.network_namespaces import Machine, machine

__all__ = ["machine"]

FOR_ANOTHER = bytes.fromhex("0002000c 0104ffffffff 02041040a1b6 00000000")
"""With a wrong checksum."""


def answering(there: Presence) -> int:
    """The port on which it answers."""
    there.answer_searches(variables, port=0)
    assert there.discovery is not None
    return there.discovery.port


def base_url(reply: bytes) -> str:
    value = decode(reply).first(Tag.BASE_URL)
    assert value is not None
    return value.decode()


async def test_a_search_is_answered_with_the_address_it_came_to() -> None:
    """And from that address: on a machine with several, each network is told its own."""
    async with presence("0.0.0.0") as there:
        port = answering(there)
        with udp() as program:
            for address in ("127.0.0.1", "127.0.0.5"):
                program.sendto(SEARCH, (address, port))
                reply, sender = await heard(program)
                assert base_url(reply) == f"http://{address}:5004"
                assert decode(reply).first(Tag.DEVICE_ID) == bytes.fromhex(DEVICE.device_id)
                assert sender == address


async def test_each_of_two_searches_is_answered() -> None:
    """Programs ask twice and sort the answers themselves."""
    async with presence() as there:
        port = answering(there)
        with udp() as program:
            program.sendto(SEARCH, ("127.0.0.1", port))
            program.sendto(SEARCH, ("127.0.0.1", port))
            assert (await heard(program))[0] == (await heard(program))[0]


async def test_nonsense_is_dropped_and_stops_nothing() -> None:
    """Random bytes of any size, a wrong checksum, nothing at all; then a search is answered."""
    noise = random.Random(7)
    async with presence() as there:
        port = answering(there)
        with udp() as program:
            for size in (0, 1, 4, 8, 20, 1_460, 1_461, 65_000):
                program.sendto(noise.randbytes(size), ("127.0.0.1", port))
            program.sendto(FOR_ANOTHER, ("127.0.0.1", port))
            program.sendto(SEARCH, ("127.0.0.1", port))
            reply, _ = await heard(program)
            assert base_url(reply) == "http://127.0.0.1:5004"
            assert nothing_heard(program)


async def test_strangers_hear_nothing() -> None:
    """Outside the trusted networks; a later search from inside is answered."""
    async with presence(trusted=ip_network("127.0.0.2/32")) as there:
        port = answering(there)
        with udp("127.0.0.1") as stranger, udp("127.0.0.2") as trusted:
            stranger.sendto(SEARCH, ("127.0.0.1", port))
            trusted.sendto(SEARCH, ("127.0.0.1", port))
            await heard(trusted)
            assert nothing_heard(stranger)


async def test_a_configured_address_is_told_instead() -> None:
    """And one that is too long for old programs is said to be."""
    with capture_logs() as lines:
        async with presence(base_url="https://tv.some-long-name.example.org") as there:
            port = answering(there)
            with udp() as program:
                program.sendto(SEARCH, ("127.0.0.1", port))
                reply, _ = await heard(program)
    assert base_url(reply) == "https://tv.some-long-name.example.org"
    assert [line["characters"] for line in lines] == [37]


async def test_a_taken_port_stops_only_discovery_and_is_said_once() -> None:
    """Each of UDP, TCP and SSDP by itself; closing is as ever."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone,
        socket.create_server(("127.0.0.1", 0)) as listener,
        capture_logs() as lines,
    ):
        alone.bind(("127.0.0.1", listener.getsockname()[1]))
        taken = alone.getsockname()[1]
        async with presence() as there:
            there.answer_searches(variables, port=taken)
            there.announce(server="x", random=lambda: 0.0, port=taken)
            assert (there.discovery, there.control, there.ssdp) == (None, None, None)
    assert [line["log_level"] for line in lines] == ["warning"] * 3
    assert [line["port"] for line in lines] == [taken] * 3
    assert all(line["why"] == "Address already in use" for line in lines)


async def test_an_ipv6_address_alone_has_no_discovery() -> None:
    """The protocol's broadcast is IPv4's; that is said, and the status is still told."""
    with capture_logs() as lines:
        async with presence("::1") as there:
            there.answer_searches(variables, port=0)
            assert there.discovery is None
            assert there.control is not None
    assert "IPv4" in lines[0]["event"]


async def test_broadcasts_are_answered_and_floods_are_bounded(
    machine: Callable[[], Machine],
) -> None:
    """From a machine on the same cable: 100 searches at once have no more answers than a second
    may have, whoever sends them."""
    other = machine()
    async with presence(other.bridge, trusted=ip_network("10.0.0.0/8")) as there:
        port = answering(there)
        program = in_namespace(other.name, lambda: udp("0.0.0.0"))
        with program:
            broadcast = other.bridge.rpartition(".")[0] + "." + _last(other.bridge, 2)
            program.sendto(SEARCH, (broadcast, port))
            reply, sender = await heard(program)
            assert base_url(reply) == f"http://{other.bridge}:5004"
            assert sender == other.bridge
            for _ in range(100):
                program.sendto(SEARCH, (other.bridge, port))
            answers = 1
            with udp(other.bridge) as own:  # asks last, and so is answered last
                own.sendto(SEARCH, (other.bridge, port))
                await heard(own)
            while not nothing_heard(program):
                answers += 1
            assert SEARCHES_PER_SECOND <= answers <= 2 * SEARCHES_PER_SECOND


async def test_other_addresses_of_the_machine_are_not_told(machine: Callable[[], Machine]) -> None:
    """Where players are served at one address only, a search that came to another is not
    answered."""
    other = machine()
    async with presence(other.bridge, trusted=ip_network("0.0.0.0/0")) as there:
        port = answering(there)
        with udp() as elsewhere, udp(other.bridge) as beside:
            elsewhere.sendto(SEARCH, ("127.0.0.1", port))
            beside.sendto(SEARCH, (other.bridge, port))
            await heard(beside)
            assert nothing_heard(elsewhere)


def _last(address: str, more: int) -> str:
    return str(int(address.rpartition(".")[2]) + more)
