"""The page of health, for people: every thing looked at, each line good or worth a look.

Gathers figures; `health_lines` judges them. `/health` says less, to programs.
"""

import asyncio
import platform
import shutil
from collections import Counter
from dataclasses import replace
from typing import Any, Final

from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from events.machine import MACHINE_ID
from plexbridge.bridge import Bridge
from plexbridge.log.driver import SQLITE_VERSION, Connection
from plexbridge.log.errors import StorageFailed
from plexbridge.log.pruning import used_bytes
from plexbridge.version import __version__
from plexbridge.web.answers import json_answer
from plexbridge.web.health_lines import (
    InMemory,
    Quantiles,
    Storage,
    cleanup_rows,
    memory_lines,
    quantiles,
    storage_lines,
    timing_lines,
)
from plexbridge.web.moments import moment_then
from plexbridge.web.past_states import (
    NOT_RECORDED,
    Moment,
    bridge_lines,
    guides_then,
    sources_then,
)
from plexbridge.web.rendering import Templates
from plexbridge.web.source_states import guide_line, source_line
from plexbridge.web.sources_api import SourcesApi
from plexbridge.web.sources_page import guide_documents
from plexbridge.web.verdicts import Line, Verdict, judged

LOOP_LAG: Final = "plexbridge_loop_lag_seconds"
APPEND: Final = "plexbridge_event_append_seconds"


class HealthPage:
    """The endpoints."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates
        self._sources = SourcesApi(bridge)

    async def page(self, request: Request) -> Response:
        """`/status[?at=]`: `/health` is for programs."""
        shown = await self._asked(request)
        return self._templates.page(request, "status.html", shown=shown, past=shown["position"])

    async def document(self, request: Request) -> Response:
        """`GET /api/status[?at=]`: what the page shows. At a moment of the past, what the log tells
        of it; `not_known` names the rest."""
        return json_answer(await self._asked(request))

    async def _asked(self, request: Request) -> dict[str, Any]:
        """`position`: of the moment; None: it is now."""
        bridge, at = self._bridge, request.query_params.get("at")
        if at is None:
            return {**await self._found(), "position": None, "not_known": []}
        then = await moment_then(bridge.projector, at, bridge.clock.now() // 1_000)
        return await asyncio.to_thread(
            bridge.log.reader.query, lambda connection: _found_then(connection, then)
        )

    async def _found(self) -> dict[str, Any]:
        bridge = self._bridge
        now = bridge.clock.now() // 1_000
        storage, why = await asyncio.to_thread(_storage, bridge)
        loop, append = measured(bridge.registry, LOOP_LAG), measured(bridge.registry, APPEND)
        lines = [
            *memory_lines(in_memory(bridge)),
            *storage_lines(storage, why, bridge.settings.retention_mb),
            *timing_lines(loop, append),
            _children(bridge),
            *(_source(source_line(one, now)) for one in self._sources.documents()),
            *(guide_line(one, now) for one in guide_documents(bridge)),
        ]
        built = bridge.projector.being_built is None
        cleanup = cleanup_rows(bridge.projector.dashboard()["cleanup"]) if built else []
        return {
            **_judged(now, lines, cleanup),
            "figures": {
                "position": bridge.projector.position,
                "durable_position": bridge.durable_position,
                "first_position": None if storage is None else storage.first,
                "log_bytes": None if storage is None else storage.log_bytes,
                "disk_free_bytes": None if storage is None else storage.disk_free_bytes,
                "loop_lag_p50_ms": _ms(loop, loop.p50_s),
                "loop_lag_p95_ms": _ms(loop, loop.p95_s),
                "facts_waiting": bridge.door.waiting_facts,
                "children": bridge.children,
                "drift": bridge.sweep.drift_now(),
                "sweep_findings": bridge.sweep.found,
            },
            "versions": {
                "PlexBridge": __version__,
                "Python": platform.python_version(),
                "SQLite": ".".join(map(str, SQLITE_VERSION)),
                "state machine": str(MACHINE_ID),
            },
        }


def _judged(at: int, lines: list[Line], cleanup: list[dict[str, Any]]) -> dict[str, Any]:
    told = [line.document() for line in lines]
    verdicts = Counter(line["verdict"] for line in (*told, *(row["line"] for row in cleanup)))
    return {
        "told_at": at,
        "to_look_at": verdicts[Verdict.LOOK],
        "unchecked": verdicts[Verdict.UNKNOWN],
        "lines": told,
        "cleanup": cleanup,
    }


def _found_then(connection: Connection, then: Moment) -> dict[str, Any]:
    """What the log tells of a moment. Blocks."""
    lines = [
        *bridge_lines(connection, then),
        *(_source(source_line(one, then.when)) for one in sources_then(connection, then)),
        *(guide_line(one, then.when) for one in guides_then(connection, then)),
    ]
    return {
        **_judged(then.when, lines, cleanup_rows(then.shown["cleanup"])),
        "position": then.position,
        "not_known": list(NOT_RECORDED),
        "figures": {"position": then.position},
        "versions": {},
    }


def in_memory(bridge: Bridge) -> InMemory:
    """What a bridge knows of itself without asking a disk."""
    being_built = bridge.projector.being_built
    return InMemory(
        storing=bridge.door.storing,
        facts_waiting=bridge.door.waiting_facts,
        parked=bridge.projector.parked,
        being_built=None if being_built is None else str(being_built),
        durable=bridge.durable_position,
        folded=bridge.projector.position,
        drift=bridge.sweep.drift_now(),
        swept=bridge.sweep.found,
        channels=len(bridge.lineup),
        listed=len(bridge.lineup.everything),
        stopping=bridge.stopping,
        broadcast_errors=bridge.feed.errors,
        subscribers=bridge.feed.subscribers,
    )


def measured(registry: CollectorRegistry, name: str) -> Quantiles:
    """Of one of the registry's histograms without labels, which are in seconds."""
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for metric in registry.restricted_registry([f"{name}_bucket"]).collect()
        for sample in metric.samples
        if sample.name == f"{name}_bucket"
    ]
    return quantiles(sorted(buckets))


def _storage(bridge: Bridge) -> tuple[Storage | None, str]:
    """What the disk says, or why it could not be asked. Blocks."""
    reader = bridge.log.reader
    try:
        usage = shutil.disk_usage(bridge.settings.data_dir)
        storage = Storage(
            log_bytes=reader.query(used_bytes),
            first=reader.first(),
            last=reader.head().pos,
            disk_free_bytes=usage.free,
            disk_bytes=usage.total,
        )
    except StorageFailed as fault:
        return None, str(fault)
    except OSError as error:
        return None, error.strerror or "no access"
    return storage, ""


def _children(bridge: Bridge) -> Line:
    """Each serves a relay or a transcoded session; one more than those is left behind."""
    at_most = len(bridge.effects.relays) + len(bridge.door.world.sessions)
    words = f"{bridge.children} running, for {len(bridge.effects.relays)} open upstreams"
    return judged("Child processes", bridge.children <= at_most, words, "wait a little; then us")


def _source(line: Line) -> Line:
    return replace(line, name=f"Source {line.name}")


def _ms(found: Quantiles, bound_s: float) -> float | None:
    """None where nothing was measured, or beyond all bounds."""
    return None if not found.count or bound_s == float("inf") else bound_s * 1_000
