"""What one lineup has and another has not. Pure; linear, so not for the event loop."""

from typing import Final, NamedTuple

from plexbridge.lineup.channels import Lineup

NAMES_RECORDED: Final = 100
"""Channel names written into a refresh event (DESIGN section 5); the rest is counted."""


class Missing(NamedTuple):
    """Channels that a lineup does not have."""

    number: int
    names: list[str]
    """Of the first."""


def differences(before: Lineup, after: Lineup) -> tuple[Missing, Missing]:
    """What only the later one has, and what only the earlier one had."""
    return _missing(after, before), _missing(before, after)


def _missing(lineup: Lineup, other: Lineup) -> Missing:
    number, names = 0, []
    for place, channel in enumerate(lineup.ids()):
        if not other.has(channel):
            number += 1
            if number <= NAMES_RECORDED:
                names.append(lineup.everything[place].guide_name)
    return Missing(number, names)
