"""What the bridge declines, as sentences with the numbers in them. They know no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from events.ids import ChannelId, SessionId, TunerNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds what a refused player was missing."""

    channel: ChannelId
    tuner: TunerNumber
    sessions: tuple[SessionId, ...]
    held_ms: int


class Refused(Exception):
    """The world asked for something the rules do not give. `rule` names the rule, for the log."""

    rule = "refused"

    def __init__(self, text: str, holders: Sequence[Holder] = ()) -> None:
        super().__init__(text)
        self.holders = tuple(holders)


class UnknownChannel(Refused):
    """No lineup entry has this number or id."""

    rule = "unknown_channel"

    def __init__(self, asked: str) -> None:
        super().__init__(f"no channel {asked} in the lineup")


class UnknownTuner(Refused):
    """A tuner was asked for by a number the device does not have."""

    rule = "unknown_tuner"

    def __init__(self, asked: int, *, tuners: int) -> None:
        super().__init__(f"no tuner {asked}: there are {tuners}, numbered from 0")


class TunerInUse(Refused):
    """The one tuner that was asked for is on another channel."""

    rule = "tuner_in_use"

    def __init__(self, tuner: TunerNumber, holders: Sequence[Holder]) -> None:
        super().__init__(f"tuner {tuner} is on another channel", holders)


class ChannelElsewhere(Refused):
    """One tuner was asked for, and the channel is watched on another: it has only one relay."""

    rule = "tuner_in_use"

    def __init__(
        self, channel: ChannelId, *, on: TunerNumber, asked: TunerNumber, holders: Sequence[Holder]
    ) -> None:
        super().__init__(f"channel {channel} is on tuner {on} already, not on {asked}", holders)


class AllTunersInUse(Refused):
    """Every tuner is leased, and nobody let go of one within the wait."""

    rule = "all_tuners_in_use"

    def __init__(self, *, tuners: int, waited_ms: int, holders: Sequence[Holder]) -> None:
        super().__init__(
            f"{tuners} of {tuners} tuners are in use, none was released within {waited_ms} ms",
            holders,
        )


class SourceFull(Refused):
    """The provider account allows no further connection."""

    rule = "source_full"

    def __init__(
        self, source: str, *, allowed: int, waited_ms: int, holders: Sequence[Holder]
    ) -> None:
        super().__init__(
            f"source {source} allows {allowed} connections and has {allowed}, "
            f"none was released within {waited_ms} ms",
            holders,
        )


class TooManySessions(Refused):
    """`MAX_CONCURRENT_STREAMS` sessions are open."""

    rule = "max_concurrent_streams"

    def __init__(self, *, allowed: int, waited_ms: int, holders: Sequence[Holder]) -> None:
        super().__init__(
            f"{allowed} of {allowed} sessions are open, none ended within {waited_ms} ms", holders
        )


class TooManyStarts(Refused):
    """One address begins streams faster than `PLEXBRIDGE_STARTS_PER_SECOND` lets it."""

    rule = "too_many_starts"

    def __init__(self, address: str, *, per_second: int) -> None:
        super().__init__(f"{address} begins more than {per_second} streams a second")


class ShuttingDown(Refused):
    """The bridge is stopping."""

    rule = "shutting_down"

    def __init__(self) -> None:
        super().__init__("the bridge is stopping")


class LogCannotStore(Refused):
    """Nothing is given that could not be recorded."""

    rule = "log_unavailable"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"the event log cannot store at the moment; {waiting} facts wait")


class UnknownSession(Refused):
    """No session has this id."""

    rule = "unknown_session"

    def __init__(self, session: SessionId) -> None:
        super().__init__(f"no session {session}")


class AlreadyEnded(Refused):
    """The session has its terminal event; there is never a second one."""

    rule = "already_ended"

    def __init__(self, session: SessionId) -> None:
        super().__init__(f"session {session} has ended already")
