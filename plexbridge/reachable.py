"""Which addresses an upstream may be on.

Pure: an address in, a yes or a reason out. Names, ports and what is spoken there are not its
business; `outbound` asks it for each socket.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, OpenStack, …
        "169.254.170.2",  # AWS container credentials
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS, IPv6
        "fd20:ce::254",  # Google, IPv6
    )
)
"""Where clouds hand out a machine's own credentials. No playlist has business there, ever."""

_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # Linux connects 0.0.0.0 to itself
_RESERVED = IPv4Network("240.0.0.0/4")  # with 255.255.255.255
_NAT64 = ip_network("64:ff9b::/96")


class AddressForbidden(OSError):
    """An address that no upstream may be on.

    An `OSError`, because that is what the connecting code takes for "this address does not work".
    """

    def __init__(self, address: Address | str, rule: str) -> None:
        super().__init__(f"{address} is refused: {rule}")
        self.rule = rule


def _innermost(address: Address) -> Address:
    """The address a packet really goes to: IPv4 inside IPv6 (mapped, 6to4, NAT64) unwrapped."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Which addresses may be reached: public and private ones, and the networks named in `allow`.

    Loopback and link-local hold this machine's own services; they are reached only when named.
    """

    allow: tuple[Network, ...] = ()

    def is_public(self, address: Address) -> bool:
        """Whether the address is on the internet, as opposed to somebody's own network."""
        return _innermost(address).is_global

    def check(self, address: Address, *, from_public: bool = False) -> None:
        """Let an address pass, or not.

        `from_public`: a public host sent us here by a redirect. It may not point into the home
        network, named or not: whoever wants that writes the private address into the playlist.

        Raises:
            AddressForbidden: with the rule that refused.
        """
        target = _innermost(address)
        if address in _METADATA or target in _METADATA:
            raise AddressForbidden(address, "cloud metadata")
        if from_public and not self.is_public(address):
            raise AddressForbidden(address, "a public host redirects into a private network")
        if any(target in network or address in network for network in self.allow):
            return
        rule = _rule_against(target)
        if rule is not None:
            raise AddressForbidden(address, rule)


def _rule_against(address: Address) -> str | None:
    """Why nothing at this address is an upstream unless someone named it."""
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    if address.is_unspecified:
        return "unspecified"
    if isinstance(address, IPv4Address) and (address in _THIS_NETWORK or address in _RESERVED):
        return "reserved"
    return None
