"""What is answered to a packet of the HDHomeRun protocol. Pure: a packet and facts in, bytes out.

Source: libhdhomerun's `hdhomerun_discover.c` and `hdhomerun_control.c`, and answers of real units.
Knows which packets ask for us and how an answer is put together; what each variable says is
`variables`' business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plexbridge.tuner.device import DEVICE_AUTH, Device
from plexbridge.tuner.discovery.packets import Packet, PacketType, Tag, encode

TUNER: Final = 1
ANY: Final = 0xFFFF_FFFF

TUNERS_SAID_MAX: Final = 255
"""The count has one byte."""

BASE_URL_CHARS_HEARD: Final = 28
"""Libraries before 2025 take a longer base URL for none. An IPv4 address with its port fits."""

URL_BYTES_MAX: Final = 255
"""A host name may have 253 characters; what is longer is not said at all."""

NAME_BYTES_MAX: Final = 255
"""The longest variable has some 20; an answer repeats the name that was asked."""

VALUE_BYTES_MAX: Final = 1_000
"""With the longest name it fits one packet; the longest of ours has some 500."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a variable is neither told nor set; `text` as the player's owner sees it."""

    text: str


UNKNOWN_VARIABLE: Final = Refusal("ERROR: unknown getset variable")
"""A real unit's words, which programs look for."""

GetSet = Callable[[str, str | None], str | Refusal]
"""A variable's name and the value to set, None to get it → its value, or why not."""


def discover_reply(request: Packet, device: Device, base_url: str) -> bytes | None:
    """The answer to a search that means this device, else None."""
    if request.type != PacketType.DISCOVER_REQUEST or not _means(request, device):
        return None
    tags = [
        (Tag.DEVICE_TYPE, TUNER.to_bytes(4, "big")),
        (Tag.DEVICE_ID, bytes.fromhex(device.device_id)),
        (Tag.DEVICE_AUTH, DEVICE_AUTH.encode()),
        (Tag.BASE_URL, base_url.encode()),
        (Tag.TUNER_COUNT, bytes((min(device.tuners, TUNERS_SAID_MAX),))),
        (Tag.LINEUP_URL, f"{base_url}/lineup.json".encode()),
    ]
    said = [(tag, value) for tag, value in tags if len(value) <= URL_BYTES_MAX]
    return encode(PacketType.DISCOVER_REPLY, said)


def getset_reply(request: Packet, getset: GetSet) -> bytes | None:
    """The answer to a request for a variable; None for what is no such request."""
    name = request.first(Tag.GETSET_NAME)
    if request.type != PacketType.GETSET_REQUEST or name is None or len(name) > NAME_BYTES_MAX:
        return None
    given = request.first(Tag.GETSET_VALUE)
    said = getset(_text(name), None if given is None else _text(given))
    if isinstance(said, Refusal):
        answer = (Tag.ERROR_MESSAGE, said.text.encode() + b"\0")
    else:
        answer = (Tag.GETSET_VALUE, _cut(said, VALUE_BYTES_MAX) + b"\0")
    return encode(PacketType.GETSET_REPLY, [(Tag.GETSET_NAME, name), answer])


def _means(request: Packet, device: Device) -> bool:
    """By type and by id; a tag that is absent (libraries of 2025, and the oldest) asks for any."""
    types = [*_numbers(request.all(Tag.DEVICE_TYPE)), *_numbers(request.all(Tag.MULTI_TYPE))]
    ids = _numbers(request.all(Tag.DEVICE_ID))
    by_type = not types or bool({TUNER, ANY} & set(types))
    by_id = not ids or bool({int(device.device_id, 16), ANY} & set(ids))
    return by_type and by_id


def _numbers(values: list[bytes]) -> list[int]:
    """The 32-bit numbers of values that hold one or several; what is left over is no number."""
    return [
        int.from_bytes(value[at : at + 4], "big")
        for value in values
        for at in range(0, len(value) - 3, 4)
    ]


def _text(value: bytes) -> str:
    """Up to the NUL at its end; what is no UTF-8 matches no name of ours."""
    return value.split(b"\0", 1)[0].decode("utf-8", "replace")


def _cut(text: str, size_max: int) -> bytes:
    """At most so many bytes, without half a character."""
    return text.encode()[:size_max].decode("utf-8", "ignore").encode()
