"""Sending by Apprise, in a process of its own that lives as long as one notice takes.

Apart from the bridge because Apprise waits in threads that nobody can end, holds tens of megabytes
once it is loaded, and is somebody else's code with a secret in its hands. The process is told the
address over a pipe, never as an argument; what it says on stderr is read by nobody.
"""

from typing import Any, Final

import orjson

from plexbridge.lineup.apart_process import NoAnswer, answer_of
from plexbridge.outbound import OutboundPolicy

WORKER: Final = "plexbridge.notices.apprise_worker"

SECONDS_MAX: Final = 40.0
"""Apprise gives a service 4 s to connect and 4 s to answer; some are asked twice. A small computer
takes five seconds to load it."""


async def send_apart(
    address: str, *, title: str, text: str, policy: OutboundPolicy, closed_to: str
) -> dict[str, Any]:
    """What came of it: `{known, ok, status, forbidden}`, or `{ok, words}` where that cannot be
    known. Without title and text nothing is sent. Cancelled, the process is killed."""
    asked = {
        "address": address,
        "title": title,
        "text": text,
        "allow": [str(network) for network in policy.allow],
        "closed_to": closed_to,
    }
    try:
        answer = await answer_of(WORKER, orjson.dumps(asked), seconds_max=SECONDS_MAX)
        document: dict[str, Any] = orjson.loads(answer)
    except (NoAnswer, orjson.JSONDecodeError):
        # Without its words: they may be Apprise's, with the address in them.
        return {"ok": False, "words": f"Apprise failed, or took longer than {SECONDS_MAX:g} s"}
    return document
