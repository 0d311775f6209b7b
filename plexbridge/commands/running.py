"""The bridge that runs on this machine, over HTTP on loopback.

Knows how to find it (its host and port are settings; one that was set for the bridge alone, it left
in its data directory) and how to say that it is not there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import orjson

from plexbridge.commands.exits import Unreachable
from plexbridge.settings import Origin, Settings
from plexbridge.web.access.local_key import read_local_key, read_local_port

TIMEOUT_S: Final = 5.0
"""An answer that takes longer than this on loopback does not come."""

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""Whatever listens there may be something else."""

LINE_BYTES_MAX: Final = 1024 * 1024
"""Of what is followed: the gauges of a full house are some ten kB."""

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    server: str
    body: bytes

    @property
    def ours(self) -> bool:
        """Whether a PlexBridge answered, and not something else on its port."""
        return self.server.startswith("PlexBridge/")

    def document(self) -> dict[str, Any]:
        """The JSON object in it; empty where there is none."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}


def ask(
    settings: Settings,
    method: str,
    path: str,
    document: object = None,
    *,
    timeout_s: float = TIMEOUT_S,
    port: int | None = None,
) -> Answer:
    """One request; of the API with the admin key where that is set, and else with the key that the
    bridge left in its data directory for commands. `document`: sent as JSON; `port`: this one and
    no other. Blocks.

    Raises:
        Unreachable: nobody answers there.
    """
    host, port = address_of(settings, port)
    key = _key(settings) if path.startswith("/api/") else None
    headers = {} if key is None else {"X-Api-Key": key}
    body = None
    if document is not None:
        body, headers["Content-Type"] = orjson.dumps(document), "application/json"
    connection = HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        server = response.getheader("Server") or ""
        return Answer(response.status, server, response.read(ANSWER_BYTES_MAX))
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreachable(f"no PlexBridge answers on {host}:{port}: {why}") from error
    finally:
        connection.close()


def follow(settings: Settings, path: str, *, silent_s_max: float) -> Iterator[bytes]:
    """The lines of an answer that goes on until one side leaves. Blocks.

    Raises:
        Unreachable: nobody answers there, or not this; or nothing came for `silent_s_max` seconds.
    """
    host, port = address_of(settings)
    key = _key(settings)
    connection = HTTPConnection(host, port, timeout=silent_s_max)
    try:
        connection.request("GET", path, headers={} if key is None else {"X-Api-Key": key})
        response = connection.getresponse()
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"the bridge on {host}:{port} answers {response.status}")
        while line := response.readline(LINE_BYTES_MAX):
            yield line
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreachable(f"the bridge on {host}:{port} is lost: {why}") from error
    finally:
        connection.close()


def address_of(settings: Settings, port: int | None = None) -> tuple[str, int]:
    """Where the bridge with these settings answers on this machine. A port that is set counts, else
    the one that the bridge left; `port`, if given, before both.

    Raises:
        Unreachable: its port is any free one, and none has run here.
    """
    if port is None:
        port = settings.port
        if port == 0 or settings.origins["PORT"] is Origin.DEFAULT:
            port = read_local_port(settings.data_dir) or port
    if port == 0:
        raise Unreachable("PORT is 0 (any free port): name the running bridge's with --port")
    return _EVERYWHERE.get(settings.host, settings.host), port


def _key(settings: Settings) -> str | None:
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    return read_local_key(settings.data_dir)
