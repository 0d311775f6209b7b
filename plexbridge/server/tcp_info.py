"""What the kernel knows of a TCP connection: whether the peer still acknowledges."""

import socket
import struct
from typing import NamedTuple

_FIELDS = struct.Struct("=BxBB 20x I 28x I 84x I")
"""`struct tcp_info` (linux/tcp.h): state at 0, retransmits at 2, probes at 3, unacked at 24,
last_ack_recv at 56, notsent_bytes at 144."""


class TcpInfo(NamedTuple):
    """One look at a connection."""

    state: int
    """1 is ESTABLISHED, 8 CLOSE-WAIT (linux/tcp_states.h)."""
    retransmits: int
    """Timeouts since the last acknowledgement of new data."""
    probes: int
    """Window and keep-alive probes the peer has not answered; 0 again with any answer."""
    unacked: int
    """Segments sent and not acknowledged."""
    last_ack_recv_ms: int
    """Milliseconds since the last acknowledgement. A peer that reads nothing still answers the
    window probes, whose distance doubles (0.2 s, 0.4 s, … 12.8 s)."""
    notsent: int
    """Bytes in the kernel that were never sent."""

    @property
    def peer_answers(self) -> bool:
        """False when what was sent or asked last went unanswered. With bytes waiting to be sent
        this tells a player that stopped reading (True) from one that vanished (False)."""
        return self.probes == 0 and self.retransmits == 0


def read_tcp_info(sock: socket.socket) -> TcpInfo | None:
    """None where the system does not tell (not Linux, or a kernel before 4.6)."""
    option: int | None = getattr(socket, "TCP_INFO", None)
    if option is None:
        return None
    raw = sock.getsockopt(socket.IPPROTO_TCP, option, _FIELDS.size)
    if len(raw) < _FIELDS.size:
        return None
    state, retransmits, probes, unacked, last_ack_recv_ms, notsent = _FIELDS.unpack(raw)
    return TcpInfo(state, retransmits, probes, unacked, last_ack_recv_ms, notsent)
