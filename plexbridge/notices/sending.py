"""One attempt to send one notice to one target, and what came of it, in words for a person.

What comes back never holds the address: neither the words, nor what is logged.
"""

import asyncio
from typing import Any, Final, NamedTuple

import orjson

from plexbridge.notices.apprise_apart import send_apart
from plexbridge.notices.targets import Target, Way
from plexbridge.outbound import Outbound, OutboundFailed, OutboundPolicy

HEAD_TIMEOUT_S: Final = 10.0
"""Automations that are started by a webhook answer when they are done."""

PROCESSES_MAX: Final = 2
"""Of Apprise, at once: each is 60 MB."""

_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "PlexBridge"}

_WORDS: Final = {
    "refused": "nothing accepts connections at this address",
    "dns": "the name in the address is not known",
    "timeout": "it did not answer in time",
    "tls": "its certificate is not trusted",
    "forbidden": "the address is on a network that is not allowed: this machine itself and "
    "link-local ones only if PLEXBRIDGE_UPSTREAM_ALLOW names them",
    "reset": "it closed the connection without an answer",
    "protocol": "the address cannot be asked by HTTP, or the answer was no HTTP",
}

_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say: later, perhaps. Any other one says the same again."""

_LASTS: Final = frozenset({"forbidden", "tls", "protocol"})
"""Faults that a person has to mend."""


class Outcome(NamedTuple):
    """Of one attempt."""

    ok: bool
    words: str
    again: bool = False
    """Whether another attempt may succeed."""
    after_s: float = 0.0
    """When it wants to be asked again, at the earliest."""


class Sender:
    """Sends; one for the process."""

    def __init__(self, policy: OutboundPolicy, closed_to: str) -> None:
        """`closed_to`: a directory that no service may read, the data directory."""
        self._policy = policy
        self._closed_to = closed_to
        self._outbound = Outbound(policy, head_timeout_s=HEAD_TIMEOUT_S)
        self._processes = asyncio.Semaphore(PROCESSES_MAX)

    async def send(self, target: Target, document: dict[str, Any]) -> Outcome:
        """One attempt. `document`: as a webhook is sent it."""
        if target.way is Way.WEBHOOK:
            return await self._post(target, document)
        link = f"\n{document['url']}" if document["url"] else ""
        text = f"{document['text']}{link}"
        return _of_apprise(await self._by_apprise(target, document["title"], text))

    async def known(self, target: Target) -> bool:
        """Whether the address is one that can be sent to, as far as that is known unsent."""
        if target.way is Way.WEBHOOK:
            return True
        return bool((await self._by_apprise(target, "", "")).get("known", True))

    async def close(self) -> None:
        """Close every connection."""
        await self._outbound.close()

    async def _by_apprise(self, target: Target, title: str, text: str) -> dict[str, Any]:
        async with self._processes:
            return await send_apart(
                target.address,
                title=title,
                text=text,
                policy=self._policy,
                closed_to=self._closed_to,
            )

    async def _post(self, target: Target, document: dict[str, Any]) -> Outcome:
        try:
            answer = await self._outbound.post(target.address, orjson.dumps(document), _HEADERS)
        except OutboundFailed as failed:
            return _of_failure(failed)
        answer.close()
        return Outcome(True, f"it was sent, and answered {answer.status}")


def _of_failure(failed: OutboundFailed) -> Outcome:
    if failed.status is None:
        return Outcome(False, _WORDS[failed.kind], again=failed.kind not in _LASTS)
    words = f"it answered {failed.status}"
    if 300 <= failed.status < 400:
        words += ", which leads elsewhere: the address that it leads to is wanted"
    return Outcome(False, words, failed.status in _AGAIN, failed.retry_after_s or 0.0)


def _of_apprise(answer: dict[str, Any]) -> Outcome:
    status = answer.get("status")
    if answer.get("ok"):
        return Outcome(True, "it was sent, and the service took it")
    if not answer.get("known", True):
        return Outcome(False, "Apprise does not know this address")
    if answer.get("forbidden"):
        return Outcome(False, _WORDS["forbidden"])
    if status is not None:
        return Outcome(False, f"the service answered {status}", again=status in _AGAIN)
    return Outcome(False, str(answer.get("words") or "the service did not take it"), again=True)
