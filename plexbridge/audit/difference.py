"""What changed between two moments: tuners, sessions, sources and totals.

Pure, over the dashboards of both and the events between them, which alone know who came and went
again in the meantime.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from events.envelope import Recorded
from events.machine import CONNECT, ENDED, NEW

SCHEMA: Final = "plexbridge.diff/1"

Document = Mapping[str, Any]


def difference(before: Document, after: Document, between: Iterable[Recorded]) -> dict[str, Any]:
    """From one dashboard to a later one; `between`: the events behind the first, up to the second.

    JSON-able; times in Unix milliseconds. What did not change is left out.
    """
    begun, ended = _sessions(between)
    return {
        "schema": SCHEMA,
        "from": {"position": before["position"], "at": before["at"]},
        "to": {"position": after["position"], "at": after["at"]},
        "tuners": list(_tuners(before, after)),
        "sessions": {"begun": begun, "ended": ended, "changed": list(_changed(before, after))},
        "sources": list(_by_id(before["sources"], after["sources"])),
        "totals": dict(_numbers(before["totals"], after["totals"])),
    }


def _sessions(between: Iterable[Recorded]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    begun: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for row in between:
        if row.src == NEW and row.type == CONNECT:
            data = row.payload
            client = {name: data["client"][name] for name in ("name", "address")}
            more = {"channel": data["channel"], "client": client, "tuner": data["tuner"]}
            begun.append(_session(row) | more)
        elif row.dst == ENDED:
            data = row.payload
            more = {name: data[name] for name in ("reason", "detail", "bytes")}
            ended.append(_session(row) | more)
    return begun, ended


def _session(row: Recorded) -> dict[str, Any]:
    id_ = row.stream.removeprefix("session-")
    return {"id": id_, "pos": row.pos, "at": row.at // 1_000}


def _tuners(before: Document, after: Document) -> Iterator[dict[str, Any]]:
    was = {row["tuner"]: row for row in before["tuners"]}
    now = {row["tuner"]: row for row in after["tuners"]}
    for number in sorted(was.keys() | now.keys()):
        old, new = _tuner(was.get(number)), _tuner(now.get(number))
        if old != new:
            yield {"tuner": number, "from": old, "to": new}


def _tuner(row: Document | None) -> dict[str, Any] | None:
    """None: the bridge had no such tuner then."""
    if row is None:
        return None
    return {
        "state": row["state"],
        "channel": row["channel"],
        "sessions": row["sessions"],
        "since": row["leased_at"] or row["freed_at"],
    }


def _changed(before: Document, after: Document) -> Iterator[dict[str, Any]]:
    """Sessions that are open in both."""
    was = {row["id"]: row for row in before["sessions"]}
    for row in after["sessions"]:
        old = was.get(row["id"])
        if old is None:
            continue
        names = ("state", "tuner", "source", "bytes", "errors", "reason", "detail")
        fields = {
            name: {"from": old[name], "to": row[name]} for name in names if old[name] != row[name]
        }
        if fields:
            yield {"id": row["id"], "channel": row["channel"], "fields": fields}


def _by_id(before: Iterable[Document], after: Iterable[Document]) -> Iterator[dict[str, Any]]:
    was = {row["id"]: row for row in before}
    now = {row["id"]: row for row in after}
    for id_ in sorted(was.keys() | now.keys()):
        old, new = was.get(id_, {}), now.get(id_, {})
        fields = {
            name: {"from": old.get(name), "to": new.get(name)}
            for name in [*new, *(name for name in old if name not in new)]
            if old.get(name) != new.get(name)
        }
        if fields:
            yield {"id": id_, "fields": fields}


def _numbers(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number inside two documents that differs, by its path; list items by their id."""
    before, after = _keyed(before), _keyed(after)
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old = before if isinstance(before, Mapping) else {}
        new = after if isinstance(after, Mapping) else {}
        for name in sorted(old.keys() | new.keys()):
            yield from _numbers(old.get(name, 0), new.get(name, 0), f"{path}.{name}".lstrip("."))
    elif isinstance(after, int | float) and before != after:
        yield path, {"from": before, "to": after}


def _keyed(value: Any) -> Any:
    return {row["id"]: row for row in value} if isinstance(value, list) else value
