"""`/metrics`: what Prometheus reads, folded from the same log as everything else.

No session, client or channel is ever a label.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from events.machine import ENDED, NEW, STATES
from events.reasons import label_of
from plexbridge.bridge import Bridge
from plexbridge.notices.kinds import TEST, Kind
from plexbridge.notices.outbox import RESULTS
from projections import dashboard, world_state

OPEN_STATES: Final = tuple(state for state in STATES if state not in (NEW, ENDED))


class BridgeCollector(Collector):
    """Asked at each scrape."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def collect(self) -> Iterator[Metric]:
        """Every figure."""
        projector = self._bridge.projector
        if projector.being_built is None:  # without, they are missing, which is what they are
            yield from _folded(projector.dashboard())
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        bridge = self._bridge
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures = {
            "plexbridge_upstreams_open": (
                "upstream connections wanted",
                len(bridge.effects.relays),
            ),
            "plexbridge_children": ("child processes", bridge.children),
            "plexbridge_tasks": ("tasks of the event loop", len(asyncio.all_tasks())),
            "plexbridge_session_drift": (
                "sessions without connection plus connections without session; not 0 is our bug",
                bridge.sweep.drift_now(),
            ),
            "plexbridge_facts_waiting": (
                "facts that cannot be stored at the moment",
                bridge.door.waiting_facts,
            ),
            "plexbridge_feed_subscribers": ("open live feeds", bridge.feed.subscribers),
            "plexbridge_projection_parked": (
                "1 while a projection is parked",
                int(bridge.projector.parked is not None),
            ),
            "plexbridge_log_position": ("last folded event", bridge.projector.position),
            "plexbridge_memory_peak_bytes": ("most memory used so far", usage.ru_maxrss * 1_024),
        }
        for name, (meaning, value) in figures.items():
            yield GaugeMetricFamily(name, meaning, value=value)
        lag = GaugeMetricFamily(
            "plexbridge_projection_lag_events", "durable events not folded yet", labels=["name"]
        )
        folded = {
            dashboard.NAME: bridge.projector.position,
            world_state.NAME: bridge.projector.decided_position,
        }
        for name, position in folded.items():
            lag.add_metric([name], max(0, bridge.durable_position - position))
        yield lag
        taken = CounterMetricFamily(
            "plexbridge_upstream_bytes", "good bytes taken from providers", labels=["source"]
        )
        for source, count in sorted(bridge.effects.bytes_by_source().items()):
            taken.add_metric([source], count)
        yield taken
        notices = CounterMetricFamily(
            "plexbridge_notices", "notices by what came of them", labels=["kind", "result"]
        )
        for kind in (*Kind, TEST):
            for result in RESULTS:
                notices.add_metric([kind, result], bridge.notices.counts[kind, result])
        yield notices
        yield CounterMetricFamily(
            "plexbridge_cpu_seconds", "processor time", value=usage.ru_utime + usage.ru_stime
        )
        yield CounterMetricFamily(
            "plexbridge_broadcast_errors", "failed emissions", value=bridge.feed.errors
        )
        yield CounterMetricFamily(
            "plexbridge_sweep_findings", "leaks the sweep found: our bugs", value=bridge.sweep.found
        )


def _folded(document: dict[str, Any]) -> Iterator[Metric]:
    sessions = GaugeMetricFamily("plexbridge_sessions", "open sessions", labels=["state"])
    for state in OPEN_STATES:
        count = sum(session["state"] == state for session in document["sessions"])
        sessions.add_metric([state], count)
    yield sessions
    in_use = sum(tuner["state"] == "active" for tuner in document["tuners"])
    yield GaugeMetricFamily("plexbridge_tuners_in_use", "tuners with viewers", value=in_use)
    total = len(document["tuners"])
    yield GaugeMetricFamily("plexbridge_tuners_total", "tuners there are", value=total)
    ended = CounterMetricFamily("plexbridge_session_end", "ended sessions", labels=["reason"])
    by_label: Counter[str] = Counter()
    for reason, count in document["totals"]["ended"].items():
        by_label[label_of(reason)] += count
    for reason, count in sorted(by_label.items()):
        ended.add_metric([reason], count)
    yield ended
    refused = CounterMetricFamily("plexbridge_refusals", "recorded refusals", labels=["rule"])
    for rule, count in document["totals"]["refused"].items():
        refused.add_metric([rule], count)
    yield refused
    connections = GaugeMetricFamily(
        "plexbridge_source_connections", "connections in use", labels=["source"]
    )
    for source in document["sources"]:
        connections.add_metric([source["id"]], source["connections"])
    yield connections
    yield CounterMetricFamily(
        "plexbridge_client_bytes", "bytes of ended sessions", value=document["totals"]["bytes"]
    )


class Metrics:
    """The endpoint."""

    def __init__(self, bridge: Bridge) -> None:
        self._registry = bridge.registry
        self._registry.register(BridgeCollector(bridge))

    async def metrics(self, request: Request) -> Response:
        """`/metrics`."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
