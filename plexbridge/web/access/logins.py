"""The password's hash and the sessions it opened: `login.json` in the data directory, 0600, written
by the running bridge alone. Sessions survive a restart; all of them end with the password.

Knows digests, times and the file; refuses to know cookies, requests and how a hash is made.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from plexbridge.private_file import read_bounded, write_private
from plexbridge.web.access.roles import Identity, Means, Role

_log = structlog.get_logger(__name__)

LOGIN_FILE: Final = "login.json"
LOGIN_FILE_BYTES_MAX: Final = 1024 * 1024

IDLE_MS_MAX: Final = 30 * 24 * 3_600_000
"""A browser that was not seen for 30 days logs in anew."""

SEEN_EVERY_MS: Final = 3_600_000
"""How exactly the file knows when a session was seen; each new time is a write."""

SESSIONS_MAX: Final = 100
"""Browsers logged in at once; one more ends the session unseen for the longest."""


class LoginUnusable(Exception):
    """`login.json` cannot be read, understood or written; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class _Session:
    role: Role
    seen_at_ms: int


class Logins:
    """What `login.json` holds. Used on the event loop only, but for the reading at the start."""

    def __init__(self, data_dir: Path, now_ms: Callable[[], int]) -> None:
        """Reads the file. Blocks. `now_ms`: Unix milliseconds.

        Raises:
            LoginUnusable: it is there and says nothing that can be relied on.
        """
        self._path = data_dir / LOGIN_FILE
        self._now_ms = now_ms
        self._writing = asyncio.Lock()
        self._password: str | None = None
        self._sessions: dict[str, _Session] = {}
        try:
            text = read_bounded(self._path, LOGIN_FILE_BYTES_MAX)
            if text is not None:
                self._take(orjson.loads(text))
        except OSError as error:
            raise LoginUnusable(f"{self._path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoginUnusable(
                f"{self._path} is damaged: move it away; the next start prints a link to set a "
                "new password"
            ) from error

    def _take(self, kept: dict[str, Any]) -> None:
        self._password = None if kept["password"] is None else str(kept["password"])
        self._sessions = {
            str(digest): _Session(Role(one["role"]), int(one["seen_at_ms"]))
            for digest, one in kept["sessions"].items()
        }

    @property
    def password(self) -> str | None:
        """The hash; None: no password is set."""
        return self._password

    def set_now(self, hashed: str) -> None:
        """Before the loop runs: a new password, no sessions. Blocks.

        Raises:
            LoginUnusable: it cannot be kept.
        """
        self._password, self._sessions = hashed, {}
        try:
            write_private(self._path, self._text())
        except OSError as error:
            raise LoginUnusable(f"{self._path} cannot be written: {error.strerror}") from error

    async def set_password(self, hashed: str) -> None:
        """A new password; every session ends.

        Raises:
            LoginUnusable: it cannot be kept, and the old one stays, without its sessions.
        """
        old, self._password, self._sessions = self._password, hashed, {}
        try:
            await self._write()
        except OSError as error:
            self._password = old
            raise LoginUnusable(f"{self._path} cannot be written: {error.strerror}") from error

    async def begin(self, digest: str, role: Role) -> None:
        """A session begins. Where it cannot be kept it lasts until the next start."""
        while len(self._sessions) >= SESSIONS_MAX:
            unseen = min(self._sessions, key=lambda one: self._sessions[one].seen_at_ms)
            del self._sessions[unseen]
        self._sessions[digest] = _Session(role, self._now_ms())
        await self._keep()

    async def end(self, digest: str) -> None:
        """A session ends, if there is one."""
        if self._sessions.pop(digest, None) is not None:
            await self._keep()

    def find(self, digest: str) -> Identity | None:
        """Whose session that is."""
        session = self._sessions.get(digest)
        if session is None or self._now_ms() - session.seen_at_ms > IDLE_MS_MAX:
            return None
        return Identity(session.role, Means.SESSION, digest)

    async def seen(self, digest: str) -> None:
        """Its idle time begins anew."""
        session, now = self._sessions.get(digest), self._now_ms()
        if session is not None and now - session.seen_at_ms >= SEEN_EVERY_MS:
            self._sessions[digest] = replace(session, seen_at_ms=now)
            await self._keep()

    async def _keep(self) -> None:
        try:
            await self._write()
        except OSError as error:
            _log.warning(
                "Sessions of the page are not kept over a restart",
                file=str(self._path),
                why=error.strerror,
            )

    async def _write(self) -> None:
        async with self._writing:
            await asyncio.to_thread(write_private, self._path, self._text())

    def _text(self) -> str:
        now = self._now_ms()
        sessions = {
            digest: {"role": one.role.value, "seen_at_ms": one.seen_at_ms}
            for digest, one in self._sessions.items()
            if now - one.seen_at_ms <= IDLE_MS_MAX
        }
        kept = {"password": self._password, "sessions": sessions}
        return orjson.dumps(kept, option=orjson.OPT_INDENT_2).decode() + "\n"
