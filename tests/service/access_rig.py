"""An application asked without a socket: as any peer, with any header, on any line of the table."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from plexbridge.bridge import Bridge, Grounds
from plexbridge.data_dir import LOG_FILE, prepare_data_dir
from plexbridge.installation import load_installation
from plexbridge.log.sqlite import SqliteLog
from plexbridge.settings import load_settings
from plexbridge.web.access.credentials import Credentials, open_credentials
from plexbridge.web.access.entrance import Entrance
from plexbridge.web.access.entrance_pages import EntrancePages
from plexbridge.web.application import build_app, route_table
from plexbridge.web.table import RouteSpec

LOOPBACK, HOME, ELSEWHERE = "127.0.0.1", "192.168.1.9", "203.0.113.7"
OWN = {"host": "127.0.0.1:5004"}
PASSWORD = "correct horse battery"


@dataclass(slots=True)
class Answer:
    """What came back; of a WebSocket that was refused, the code it was closed with."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON in it."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def cookie(self) -> dict[str, str]:
        """The header to send from now on, for the session that this answer began."""
        (one,) = SimpleCookie(self.headers["set-cookie"]).values()
        return {"cookie": f"{one.key}={one.value}"}


def scope_of(
    peer: str | None, headers: Mapping[str, str], *, path: str = "/", method: str = "GET"
) -> dict[str, Any]:
    """What the server would hand over for such a request; method `WS` for a WebSocket."""
    bare, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "websocket" if method == "WS" else "http",
        "path": bare,
        "raw_path": bare.encode(),
        "root_path": "",
        "scheme": "ws" if method == "WS" else "http",
        "query_string": query.encode(),
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": None if peer is None else (peer, 40_000),
        "server": ("127.0.0.1", 5004),
        "extensions": {},
        "subprotocols": [],
    }
    return scope if method == "WS" else {**scope, "method": method}


async def ask_scope(app: Any, scope: dict[str, Any], body: bytes = b"") -> Answer:
    """One request of that scope."""
    answer = Answer()

    async def receive() -> dict[str, Any]:
        kind = scope["type"]
        if kind == "websocket":
            return {"type": "websocket.connect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            pairs = [(name.decode(), value.decode()) for name, value in message["headers"]]
            answer.headers = dict(pairs)
            assert len(answer.headers) == len(pairs), "a header was sent twice"
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
        else:
            answer.status = message.get("code", 101)

    await app(scope, receive, send)
    return answer


async def ask(
    app: Any,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    peer: str | None = LOOPBACK,
    method: str = "GET",
    send: Any = None,
) -> Answer:
    """One request, by a name of ours unless the headers have another; `send` is its JSON."""
    body = b"" if send is None else json.dumps(send).encode()
    more = {**OWN, **(headers or {})}
    if send is not None:
        more = {"content-type": "application/json", "content-length": str(len(body)), **more}
    return await ask_scope(app, scope_of(peer, more, path=path, method=method), body)


@dataclass(frozen=True, slots=True)
class House:
    """A bridge without a listener, its application, and what opens it."""

    bridge: Bridge
    app: Any
    credentials: Credentials


@asynccontextmanager
async def house(data_dir: Path, **environment: str) -> AsyncIterator[House]:
    """Started on that directory, with those settings."""
    settings = load_settings({}, {"PLEXBRIDGE_DATA_DIR": str(data_dir), **environment})
    prepare_data_dir(data_dir)
    installation = load_installation(data_dir, os.urandom)
    log = SqliteLog(data_dir / LOG_FILE)
    bridge = Bridge(Grounds(settings, log, installation), demo=False)
    await bridge.start()
    credentials = open_credentials(settings, bridge.clock, os.urandom)
    try:
        yield House(bridge, build_app(bridge, credentials), credentials)
    finally:
        bridge.drain()
        await bridge.close()


def table_of(house: House) -> list[RouteSpec]:
    """The lines that the application was built from."""
    entrance = Entrance(house.credentials, EntrancePages(lambda: "PlexBridge"), cookie="any")
    return route_table(house.bridge, entrance)
