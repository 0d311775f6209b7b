"""What the bridge is asked, and what it is told. A command carries its time and its observations:
there is no other clock in the rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from events.ids import ChannelId, ConnectionId, SessionId, SourceId, TunerNumber, UnixMicros
from events.policy import Policy
from events.uptake import Uptake


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRef:
    """A channel as it is asked for."""

    id: ChannelId
    guide_number: str
    name: str
    sources: tuple[tuple[SourceId, int], ...]
    """Sources of its upstreams in order of preference, each with the connections it allows
    (0: not known, no bound)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRef:
    """A player, as its request described it; see `ClientData`."""

    key: str
    address: str
    user_agent: str
    name: str
    identified: bool
    single_viewer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a session's client has accepted so far, over all its connections."""

    bytes: int
    accepted_at: UnixMicros
    """When it last accepted a programme byte; the connect while it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """A player asks for a channel."""

    at: UnixMicros
    asked_at: UnixMicros
    """When it first asked; earlier than `at` when it waited for a release."""
    session: SessionId
    """The id the session gets, should one begin."""
    connection: ConnectionId
    channel: ChannelRef
    client: ClientRef
    kind: str
    tuner: TunerNumber | None = None
    """`/tuner{n}`: only this one will do."""
    refusal_id: str
    """The id the refusal gets, should it be refused."""
    progress: tuple[tuple[SessionId, Progress], ...] = ()
    """Of sessions that may hand over to this one; what is recorded counts for any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneUnknown:
    """A player asks for a channel the lineup does not have."""

    at: UnixMicros
    asked: str
    client: ClientRef
    refusal_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneTooOften:
    """A player asks for a stream, and its address has begun too many in this second."""

    at: UnixMicros
    asked: str
    client: ClientRef
    per_second: int
    """What is allowed."""
    refusal_id: str


AlwaysRefused = TuneUnknown | TuneTooOften
"""Asked for in vain, whatever the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A client's socket took programme bytes."""

    at: UnixMicros
    session: SessionId
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """A connection ended (`connection` given), or a program says so (None)."""

    at: UnixMicros
    session: SessionId
    connection: ConnectionId | None
    reason: str
    detail: str
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A person, or the bridge itself, ends a session. Always ends it (`reclaim`)."""

    at: UnixMicros
    session: SessionId
    reason: str
    detail: str
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """A session's deadline has passed, as observed: `waiting` and `acknowledging` say why."""

    at: UnixMicros
    session: SessionId
    progress: Progress
    waiting: bool
    """Bytes were to be had that the client did not take."""
    acknowledging: bool
    """The client's host still acknowledges (TCP_INFO): it stalls; otherwise it vanished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooSlow:
    """A client takes too little of what is to be had, or was skipped forward too often."""

    at: UnixMicros
    session: SessionId
    connection: ConnectionId
    progress: Progress
    uptake: Uptake


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOpened:
    """An attempt got an answer and its body flows."""

    at: UnixMicros
    channel: ChannelId
    lease: int
    attempt: int
    url: str
    """Redacted."""
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFirstByte:
    """An attempt delivered its first good packets."""

    at: UnixMicros
    channel: ChannelId
    lease: int
    attempt: int
    after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLost:
    """An attempt failed to open, or ended after it had delivered (`gave_bytes`)."""

    at: UnixMicros
    channel: ChannelId
    lease: int
    attempt: int
    reason: str
    detail: str
    gave_bytes: bool
    more: bool = False
    """Nothing was ever delivered, and an upstream that was not tried yet is asked now: players
    that have heard nothing wait on, within their deadline."""
    progress: tuple[tuple[SessionId, Progress], ...]
    """Of every session on the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSource:
    """A relay would go on with an upstream of another source; its socket of before is gone."""

    at: UnixMicros
    channel: ChannelId
    lease: int
    source: SourceId
    allowed: int
    """Connections that source allows; 0: not known, no bound."""
    attempt: int
    """The attempt that will be made there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCompleted:
    """A finite upstream was played to its end."""

    at: UnixMicros
    channel: ChannelId
    lease: int
    attempt: int
    progress: tuple[tuple[SessionId, Progress], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamClosed:
    """The socket of a released lease is gone."""

    at: UnixMicros
    channel: ChannelId
    lease: int
    source: SourceId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LingerOver:
    """A relay without sessions has waited long enough for one."""

    at: UnixMicros
    channel: ChannelId
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The bridge is about to listen."""

    at: UnixMicros
    version: str
    machine: str
    policy: Policy
    facts: tuple[tuple[str, str], ...] = ()
    """Further versions in force: Python, SQLite, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings:
    """A person changed settings of a bridge that runs. Nobody's session ends for it."""

    at: UnixMicros
    names: tuple[str, ...]
    by: str
    """Who it was: a role and how it was shown, or the name of a key."""
    policy: Policy | None
    """In force from here on; None: no rule depends on what was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """The bridge starts and finds what a crash left open."""

    at: UnixMicros


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutDown:
    """The bridge stops: every session ends, every lease returns."""

    at: UnixMicros
    progress: tuple[tuple[SessionId, Progress], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A fact about a source, the lineup or the bridge that no session depends on."""

    at: UnixMicros
    stream: str
    type: str
    payload: Sequence[tuple[str, object]]


Command = (
    Tune
    | TuneUnknown
    | TuneTooOften
    | Accepted
    | Disconnect
    | Stop
    | Expire
    | TooSlow
    | UpstreamOpened
    | UpstreamFirstByte
    | UpstreamLost
    | ChangeSource
    | UpstreamCompleted
    | UpstreamClosed
    | LingerOver
    | Started
    | ChangeSettings
    | Recover
    | ShutDown
    | Note
)
