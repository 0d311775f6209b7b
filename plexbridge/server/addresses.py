"""Addresses as text: peers' in their own form, whether they are this machine's, and its own."""

import ipaddress
import socket


def plain_address(address: str) -> str:
    """An IPv4 address in its own form, not as the dual-stack socket shows it (`::ffff:…`)."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


def is_loopback(address: str) -> bool:
    """Whether the peer is on this very machine. What is no address is not."""
    try:
        return ipaddress.ip_address(plain_address(address)).is_loopback
    except ValueError:
        return False


def address_of_this_machine() -> str:
    """The address that the default route would use; nothing is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
