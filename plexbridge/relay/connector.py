"""Plain HTTP upstreams: the outbound client opens them, their body flows into a receiver.

Knows how a failed request is called in words of the log. Nothing of bodies, packets or readers.
"""

from plexbridge.outbound import Asked, Outbound, OutboundFailed
from plexbridge.relay.http_body import deliver_body
from plexbridge.relay.ports import OpenUpstream, Upstream, UpstreamFailed, UpstreamReceiver


class HttpConnector:
    """Opens upstreams through the one way out."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def ask(self, upstream: Upstream) -> Asked:
        """The answer, its body unread.

        Raises:
            UpstreamFailed: with the outbound client's word and `Retry-After`.
        """
        try:
            return await self._outbound.ask(upstream.url, upstream.headers)
        except OutboundFailed as failed:
            reason = "timeout" if failed.kind == "timeout" else "stream_failed"
            failure = UpstreamFailed(reason, failed.detail, retry_after_s=failed.retry_after_s)
        raise failure

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> OpenUpstream:
        """Ask for the URL; nothing is delivered before this has returned.

        Raises:
            UpstreamFailed: see `ask`.
        """
        return deliver_body((await self.ask(upstream)).response, receiver)
