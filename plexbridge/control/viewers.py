"""The players' connections of the sessions that are open, as control sees them."""

from typing import Protocol

from events.commands import Progress
from events.ids import ConnectionId, SessionId
from events.payloads import EndData
from plexbridge.relay.ports import Sink


class Viewer(Sink, Protocol):
    """One player's connection: a relay's sink that can be measured and closed."""

    @property
    def connection(self) -> ConnectionId: ...

    def progress(self) -> Progress:
        """What its socket has accepted, and when it last did."""
        ...

    def acknowledging(self) -> bool:
        """Whether the player's host still answers (TCP_INFO)."""
        ...

    def close(self, end: EndData) -> None:
        """The session's end, or a maintained disconnect: say so if nothing was said yet, close."""
        ...

    def supersede(self) -> None:
        """The session goes on with another connection: close this one."""
        ...


class Viewers:
    """Who is connected for which session. A session has at most one connection."""

    def __init__(self) -> None:
        self._by_session: dict[SessionId, Viewer] = {}

    def __contains__(self, session: SessionId) -> bool:
        return session in self._by_session

    def __len__(self) -> int:
        return len(self._by_session)

    def sessions(self) -> list[SessionId]:
        """The sessions that have a connection."""
        return list(self._by_session)

    def get(self, session: SessionId) -> Viewer | None:
        """The connection of a session, if it has one."""
        return self._by_session.get(session)

    def put(self, session: SessionId, viewer: Viewer) -> None:
        """This connection carries the session from now on."""
        self._by_session[session] = viewer

    def take(self, session: SessionId) -> Viewer | None:
        """Forget a session's connection."""
        return self._by_session.pop(session, None)

    def progress(self, session: SessionId) -> Progress | None:
        """What the session's socket has accepted; None without a connection."""
        viewer = self._by_session.get(session)
        return None if viewer is None else viewer.progress()

    def all_progress(self) -> tuple[tuple[SessionId, Progress], ...]:
        """The same for every connected session."""
        return tuple((session, viewer.progress()) for session, viewer in self._by_session.items())
