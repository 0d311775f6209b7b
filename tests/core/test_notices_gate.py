"""What the process that sends by Apprise may do, and what may be seen of an address."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from plexbridge.notices.apprise_worker import Gate
from plexbridge.notices.kinds import Kind
from plexbridge.notices.targets import Target, Way
from plexbridge.outbound import OutboundPolicy
from plexbridge.reachable import AddressForbidden


def gate(*allow: str, closed_to: str = "/data") -> Gate:
    """With these networks named."""
    return Gate(OutboundPolicy(tuple(map(ip_network, allow))), closed_to)


@pytest.mark.parametrize("event", ["socket.connect", "socket.sendto", "socket.sendmsg"])
@pytest.mark.parametrize(
    ("place", "passes"),
    [
        (("8.8.8.8", 443), True),
        (("192.168.1.9", 80), True),
        (("fd00::1", 80, 0, 0), True),
        (None, True),
        (("127.0.0.1", 80), False),
        (("::1", 80, 0, 0), False),
        (("::ffff:127.0.0.1", 80, 0, 0), False),
        (("fe80::1%eth0", 80, 0, 2), False),
        (("169.254.169.254", 80), False),
        (("localhost", 80), False),
        ("/run/docker.sock", False),
    ],
)
def test_a_socket_reaches_what_an_upstream_may(event: str, place: Any, passes: bool) -> None:
    """Public and private networks; this machine and its own sockets not."""
    made = gate()
    if passes:
        made(event, (None, place))
    else:
        with pytest.raises(AddressForbidden):
            made(event, (None, place))
    assert made.refused is not passes


def test_a_named_network_is_reached() -> None:
    """As everywhere."""
    gate("127.0.0.0/8")("socket.connect", (None, ("127.0.0.1", 80)))


def test_a_public_host_leads_into_no_private_network() -> None:
    """Whatever redirect it answers."""
    made = gate()
    made("socket.connect", (None, ("8.8.8.8", 443)))
    with pytest.raises(AddressForbidden):
        made("socket.connect", (None, ("192.168.1.9", 80)))


def test_no_program_is_started_and_nothing_is_read_in_the_data_directory(tmp_path: Path) -> None:
    """By whatever way the path is written."""
    inside, outside = tmp_path / "data", tmp_path / "data-not"
    inside.mkdir()
    (tmp_path / "link").symlink_to(inside)
    made = gate(closed_to=str(inside))
    for path in (
        inside / "secrets.toml",
        f"{inside}/../data/secrets.toml",
        str(tmp_path / "link" / "secrets.toml"),
        bytes(inside / "secrets.toml"),
    ):
        with pytest.raises(PermissionError):
            made("open", (path, "r", 0))
    for fine in (outside, str(outside), 7):
        made("open", (fine, "r", 0))
    for event in ("subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "pty.spawn"):
        with pytest.raises(PermissionError):
            made(event, ("sh",))
    assert not made.refused


@pytest.mark.parametrize(
    ("way", "address", "shown"),
    [
        (Way.WEBHOOK, "https://u:p@hooks.example/services/T0/B0/key?x=1", "https://hooks.example/"),
        (Way.APPRISE, "tgram://123:token/456", "tgram://***"),
        (Way.APPRISE, "Discord://1234/secret", "discord://***"),
        (Way.APPRISE, "mailto://me:secret@example.com", "mailto://***"),
    ],
)
def test_what_is_seen_of_an_address_holds_no_secret(way: Way, address: str, shown: str) -> None:
    """Of an Apprise URL the service alone: its token may stand where a host does."""
    one = Target(id="1", way=way, address=address, name="", kinds=frozenset(Kind), added_at_ms=0)
    assert one.shown.startswith(shown)
    for secret in ("key", "T0", "B0", "token", "secret", "1234", "u:p", "example.com", "456"):
        assert secret not in one.shown
        assert secret not in repr(one)
