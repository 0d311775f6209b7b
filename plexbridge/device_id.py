"""HDHomeRun device ids and their check digit. Knows the sum; not where an id is kept or shown.

The rule is SiliconDust's: eight hexadecimal digits, of which the last makes a sum over all of them
zero. Players that know the rule (Kodi, the HDHomeRun apps) ignore a tuner whose id breaks it.
"""

_SUBSTITUTE = (0xA, 0x5, 0xF, 0x6, 0x7, 0xC, 0x1, 0xB, 0x9, 0x2, 0x8, 0xD, 0x4, 0x3, 0xE, 0x0)
_NONE, _ANY = 0x0000_0000, 0xFFFF_FFFF
"""Both pass the sum and mean "no device" and "every device" in discovery."""


def _sum(digits: list[int]) -> int:
    total = 0
    for index, digit in enumerate(digits):
        total ^= _SUBSTITUTE[digit] if index % 2 == 0 else digit
    return total


def _digits(number: int) -> list[int]:
    return [number >> shift & 0xF for shift in range(28, -4, -4)]


def is_device_id(number: int) -> bool:
    """Whether players take this 32-bit number as one device's id."""
    in_range = _NONE < number < _ANY
    return in_range and _sum(_digits(number)) == 0


def with_check_digit(number: int) -> int:
    """The same 32-bit number with its last digit replaced by the right check digit."""
    assert 0 <= number <= _ANY, "a device id has 32 bits"
    head = number & 0xFFFF_FFF0
    return head | _sum(_digits(head))
