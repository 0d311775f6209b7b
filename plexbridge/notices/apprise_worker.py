"""The process that sends one notice by Apprise: asked on stdin, one line of JSON on stdout.

What it may reach is what the bridge may: each socket's address passes the same rules, checked by an
audit hook (PEP 578), for Apprise opens its sockets through several libraries. It starts no program,
and reads nothing in the data directory.
"""

import logging
import os
import re
import sys
from ipaddress import ip_address, ip_network
from typing import Any, Final

import apprise
import orjson

from plexbridge.lineup.confined import confine
from plexbridge.outbound import OutboundPolicy
from plexbridge.reachable import AddressForbidden

ADDRESS_SPACE_BYTES: Final = 1024**3
"""The kernel's bound. Apprise with all of its services takes 60 MB."""

_STATUS: Final = re.compile(r"error=([1-5][0-9]{2})\b")
"""How Apprise's services log what they were answered."""

_PROGRAMS: Final = ("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system", "pty.")


class Gate:
    """What this process may do from now on."""

    def __init__(self, policy: OutboundPolicy, closed_to: str) -> None:
        self.refused = False
        """Whether an address was not allowed."""
        self._policy = policy
        self._closed_to = os.path.realpath(closed_to) + os.sep
        self._from_public = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook. Raises what keeps it from happening."""
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._reach(arguments[1])
        elif event.startswith(_PROGRAMS):
            raise PermissionError("no programs are started here")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path.startswith(self._closed_to):
                raise PermissionError("this directory is closed")

    def _reach(self, place: object) -> None:
        if place is None:  # a socket that is connected already
            return
        try:
            if not isinstance(place, tuple):
                raise AddressForbidden("a local socket", "not an IP address")
            # A name that is resolved only now: refused, for nobody would see to what.
            address = ip_address(str(place[0]).partition("%")[0])
            self._policy.check(address, from_public=self._from_public)
        except (AddressForbidden, ValueError):
            self.refused = True
            raise AddressForbidden("an address", "not allowed") from None
        self._from_public = self._from_public or self._policy.is_public(address)


class Said(logging.Handler):
    """What Apprise logs goes nowhere, but for the status in it: it may hold the address."""

    def __init__(self) -> None:
        super().__init__()
        self.status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """One line of it."""
        found = _STATUS.search(record.getMessage())
        if found is not None:
            self.status = int(found[1])


def main() -> int:
    """Read the job, do it, say what came of it."""
    asked: dict[str, Any] = orjson.loads(sys.stdin.buffer.read())
    confine(ADDRESS_SPACE_BYTES)
    said = Said()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [said], False
    logger.setLevel(logging.WARNING)
    policy = OutboundPolicy(allow=tuple(map(ip_network, asked["allow"])))
    gate = Gate(policy, asked["closed_to"])
    sys.addaudithook(gate)
    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="PlexBridge", async_mode=False))
    known = bool(service.add(asked["address"]))
    sends = known and bool(asked["text"])
    ok = sends and bool(
        service.notify(body=asked["text"], title=asked["title"], body_format="text")
    )
    answer = {
        "known": known,
        "ok": ok,
        "status": None if ok else said.status,
        "forbidden": gate.refused and not ok,
    }
    sys.stdout.buffer.write(orjson.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
