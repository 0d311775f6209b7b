"""Names for the things rules speak of, so that a tuner is never passed where a channel is meant."""

from typing import NewType

SessionId = NewType("SessionId", str)
"""One viewing session: 26 characters of Crockford base32, minted once (a UUIDv7 in text)."""

ChannelId = NewType("ChannelId", str)
"""A lineup entry, stable across refreshes."""

SourceId = NewType("SourceId", str)
"""A provider account."""

TunerNumber = NewType("TunerNumber", int)
"""0-based, as in `tuner0`."""

ConnectionId = NewType("ConnectionId", int)
"""One player connection of this process; a session may outlive one and go on with the next."""

UnixMicros = NewType("UnixMicros", int)
"""Microseconds since 1970-01-01 UTC."""

Position = NewType("Position", int)
"""Place in the whole log, 1-based and dense; 0 is before the first event."""


def session_stream(session: SessionId) -> str:
    """The log stream of one session."""
    return f"session-{session}"


def channel_stream(channel: ChannelId) -> str:
    """The log stream of one channel."""
    return f"channel-{channel}"


def source_stream(source: SourceId) -> str:
    """The log stream of one provider account."""
    return f"source-{source}"


LINEUP_STREAM = "lineup"
BRIDGE_STREAM = "bridge"
