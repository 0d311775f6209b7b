"""Peers' addresses as text: in their own form, and whether they are this machine's."""

import ipaddress


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
