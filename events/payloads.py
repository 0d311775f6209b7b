"""What each event type carries. Additive only within a major version (DESIGN section 5).

TypedDicts: a fold reads what JSON gives, without building objects for a million events.
"""

from typing import NotRequired, TypedDict


class ChannelData(TypedDict):
    """A lineup entry, as it was called then."""

    id: str
    guide_number: str
    name: str


class ClientData(TypedDict):
    """Who asked. `key` is what makes two requests one viewer; never shown."""

    key: str
    address: str
    user_agent: str
    name: str
    identified: bool
    """The player sent an identifier of its own (a Plex session or client identifier)."""
    single_viewer: bool
    """A player that serves one viewer (VLC, Kodi, mpv), by its user agent."""


class ConnectData(TypedDict):
    """`connect`: a player was admitted, or came back (`resumed`)."""

    channel: ChannelData
    client: ClientData
    tuner: int
    source: str
    connection: int
    kind: str
    """The route: `auto`, `tuner`, `stream`, `preview`."""
    waited_ms: int
    resumed: bool


class ActivityData(TypedDict):
    """`activity`: programme bytes were accepted by the client's socket."""

    bytes: int
    """Accepted over the session's life."""
    accepted_at: int
    """When the last of them was (µs)."""
    first_byte_ms: NotRequired[int]
    """On the first activity after `connect`: from there to the first byte."""


class EndData(TypedDict):
    """`error`, `disconnect`, `reclaim`: what happened, and what the policy made of it."""

    reason: str
    detail: str
    bytes: int
    accepted_at: int
    """The last accepted programme byte (µs); the connect while there was none."""
    maintained: bool
    intentional: bool
    keep_alive: bool
    attempts: NotRequired[int]
    """Reconnect attempts that failed since the last byte (`error` only)."""


class LeasedData(TypedDict):
    """`tuner_leased`: a relay took a tuner and a connection of its source."""

    tuner: int
    source: str
    in_use: int
    """Connections of the source in use, this one included."""
    allowed: int
    """What the source allows; 0: not known."""


class ReleasedData(TypedDict):
    """`tuner_released`: the relay's claim is over, its upstream is to be closed."""

    tuner: int
    source: str
    lease: int
    """Version of the `tuner_leased` this one answers."""
    why: str
    """`linger_over`, `given_up` (for another channel), `last_session_ended`, `upstream_failed`,
    `shutdown`, `bridge_restarted`."""
    held_ms: int


class SourceChangedData(TypedDict):
    """`source_changed`: a relay goes on with an upstream of another source."""

    lease: int
    source: str
    before: str
    """The source it read until now, whose connection is free again."""
    attempt: int
    in_use: int
    """Connections of the new source in use, this one included."""
    allowed: int
    """What the new source allows; 0: not known."""


class UpstreamData(TypedDict):
    """`upstream_opened`, `upstream_first_byte`, `upstream_lost`, `upstream_closed`."""

    lease: int
    source: str
    attempt: int
    url: NotRequired[str]
    """Redacted."""
    digest: NotRequired[str]
    after_ms: NotRequired[int]
    """First byte: since the attempt began."""
    gap_ms: NotRequired[int]
    """First byte after a loss: since the loss."""
    reason: NotRequired[str]
    detail: NotRequired[str]
    gave_bytes: NotRequired[bool]


class HolderData(TypedDict):
    """One lease that stood in the way of a refused player."""

    channel: str
    tuner: int
    sessions: list[str]
    held_ms: int


class RefusedData(TypedDict):
    """`refused`: who asked, which rule declined, who held what was missing."""

    id: str
    rule: str
    text: str
    asked: str
    channel: ChannelData | None
    client: ClientData
    holders: list[HolderData]
    waited_ms: int


class RecoveredData(TypedDict):
    """`recovered`: what a start found open and closed."""

    sessions: int
    leases: int
