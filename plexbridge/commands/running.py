"""The bridge that runs on this machine, over HTTP on loopback.

Knows how to find it (its host and port are settings) and how to say that it is not there.
"""

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import orjson

from plexbridge.commands.exits import Unreachable
from plexbridge.settings import Settings
from plexbridge.web.access.local_key import read_local_key

TIMEOUT_S: Final = 5.0
"""An answer that takes longer than this on loopback does not come."""

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""Whatever listens there may be something else."""

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


def address_of(settings: Settings) -> tuple[str, int]:
    """Where the bridge with these settings answers on this machine.

    Raises:
        Unreachable: its port is any free one, which only the running bridge knows.
    """
    if settings.port == 0:
        raise Unreachable("PORT is 0 (any free port): name the running bridge's with --port")
    return _EVERYWHERE.get(settings.host, settings.host), settings.port


def ask(
    settings: Settings,
    method: str,
    path: str,
    document: object = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """One request; of the API with the admin key where that is set, and else with the key that the
    bridge left in its data directory for commands. `document`: sent as JSON. Blocks.

    Raises:
        Unreachable: nobody answers there.
    """
    host, port = address_of(settings)
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


def _key(settings: Settings) -> str | None:
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    return read_local_key(settings.data_dir)
