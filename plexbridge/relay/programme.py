"""What a PMT says of its programme: the PIDs, and which one carries the clock. Pure."""

from typing import NamedTuple

from plexbridge.relay.mpegts import PACKET_BYTES, Tables, packet_at, payload_of

_CRC_BYTES = 4
_NO_PCR_PID = 0x1FFF


class Programme(NamedTuple):
    """The PIDs of a programme beside those of its tables."""

    pcr_pid: int | None
    """None where the programme has no clock reference."""
    pids: tuple[int, ...]
    """Elementary streams in the table's order, and the clock's PID if it is none of them."""


def programme_of(tables: Tables) -> Programme:
    """Read the PMT that `tables` holds; what is cut short is left out."""
    section = _section(tables.pmt)
    if len(section) < 12 + _CRC_BYTES:
        return Programme(None, ())
    pcr_pid = (section[8] & 0x1F) << 8 | section[9]
    pids = []
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= len(section) - _CRC_BYTES:
        pids.append((section[at + 1] & 0x1F) << 8 | section[at + 2])
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
    if pcr_pid == _NO_PCR_PID:
        return Programme(None, tuple(pids))
    if pcr_pid not in pids:
        pids.append(pcr_pid)
    return Programme(pcr_pid, tuple(pids))


def _section(packets: bytes) -> bytes:
    """The section that these packets carry, from its table id to its CRC."""
    body = b""
    for index in range(len(packets) // PACKET_BYTES):
        packet = packet_at(packets, index)
        payload = payload_of(packet)
        if index == 0:
            payload = payload[1 + payload[0] :] if payload else b""
        body += payload
    if len(body) < 3:
        return b""
    return body[: 3 + ((body[1] & 0x0F) << 8 | body[2])]
