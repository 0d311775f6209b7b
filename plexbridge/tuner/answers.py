"""Refusals and failed tunes in HDHomeRun's own terms: the one place where rules become statuses.

Source: HDHomeRun HTTP Development Guide; `X-HDHomeRun-Error: <code> <text>` with an empty body.
"""

from typing import Final, NamedTuple


class Answer(NamedTuple):
    """A status and the value of `X-HDHomeRun-Error`."""

    status: int
    error: str


UNKNOWN_CHANNEL: Final = Answer(404, "801 Unknown Channel")
SYSTEM_BUSY: Final = Answer(503, "803 System Busy")
TUNER_IN_USE: Final = Answer(503, "804 Tuner In Use")
ALL_TUNERS_IN_USE: Final = Answer(503, "805 All Tuners In Use")
TUNE_FAILED: Final = Answer(503, "806 Tune Failed")
NO_VIDEO_DATA: Final = Answer(503, "807 No Video Data")

BY_RULE: Final[dict[str, Answer]] = {
    "unknown_channel": UNKNOWN_CHANNEL,
    "unknown_tuner": UNKNOWN_CHANNEL,
    "tuner_in_use": TUNER_IN_USE,
    "all_tuners_in_use": ALL_TUNERS_IN_USE,
    "source_full": ALL_TUNERS_IN_USE,
    "max_concurrent_streams": ALL_TUNERS_IN_USE,
    "too_many_starts": SYSTEM_BUSY,
    "shutting_down": SYSTEM_BUSY,
    "log_unavailable": SYSTEM_BUSY,
}
"""A refusal's rule → what the player is told."""

_NO_VIDEO: Final = frozenset({"upstream_no_data", "not_mpeg_ts", "upstream_eof", "completed"})
"""Details of a session that ended before its first byte although the provider answered."""


def ended_unheard(reason: str, detail: str) -> Answer:
    """What a player is told whose session ended before a byte was sent."""
    if reason == "shutdown" or detail.startswith("transcode_"):
        return SYSTEM_BUSY
    return NO_VIDEO_DATA if detail in _NO_VIDEO else TUNE_FAILED
