"""One bad moment in one file: what a maintainer needs to see it as it was.

A zip with the events around it and the states before them (redacted), the policy in force, the
versions, the dashboard of the moment and what `doctor` says. Every reading verb opens it.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson

from plexbridge.audit.exports import export, folded_to
from plexbridge.audit.reading import Progress
from plexbridge.audit.redaction import Redaction
from plexbridge.control import stored
from plexbridge.log.exporting import Written
from plexbridge.log.importing import EVENTS_MEMBER
from plexbridge.log.reader import SqliteReader

SCHEMA: Final = 1

MINUTE_US: Final = 60_000_000

_REDACTED: Final = (
    "addresses and identifiers of players were replaced, and the hashes made anew behind that; "
    "`first`, `last` and `log_head` are those of the log itself"
)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a log that an incident shows."""

    around: int
    first: int
    last: int


def span_of(reader: SqliteReader, around: int, minutes: float) -> Span:
    """The events so many minutes before and after the one at `around`. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
    """
    found = reader.read(max(around - 1, reader.base().pos), 1)
    if not found:
        return Span(around, reader.first(), reader.head().pos)
    reach_us = round(minutes * MINUTE_US)
    first = max(reader.position_at(found[0].at - reach_us) + 1, reader.first())
    last = max(reader.position_at(found[0].at + reach_us), around)
    return Span(around, min(first, found[0].pos), last)


def bundle(
    reader: SqliteReader,
    file: BinaryIO,
    span: Span,
    *,
    redaction: Redaction,
    versions: Mapping[str, str],
    doctor: Any,
    progress: Progress | None = None,
) -> Written:
    """Write the zip. Blocks.

    Raises:
        LogBroken, Pruned, SealBroken, NewerLog, StorageFailed: see `exports.export`.
    """
    shown = folded_to(reader, span.around)
    kept = [
        {"name": one.name, "version": one.version, "pos": one.pos, "digest": one.digest.hex()}
        for one in reader.query(stored.kept)
    ]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        with packed.open(EVENTS_MEMBER, "w") as member:
            written = export(
                reader,
                member,
                first=span.first,
                last=span.last,
                redaction=redaction,
                progress=progress,
            )
        members = {
            "policy.json": shown.decided.policy.as_payload(),
            "versions.json": dict(versions),
            "projections.json": {
                "dashboard": redaction.document(shown.shown.document()),
                "kept": kept,
            },
            "doctor.json": doctor,
            "manifest.json": _manifest(reader, span, written),
        }
        for name, document in members.items():
            packed.writestr(name, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return written


def _manifest(reader: SqliteReader, span: Span, written: Written) -> dict[str, Any]:
    head = reader.head()
    return {
        "plexbridge": "incident",
        "schema": SCHEMA,
        "around": span.around,
        "first": written.first,
        "last": written.last,
        "events": written.events,
        "digest": written.digest,
        "log_head": {"pos": head.pos, "hash": head.hash.hex()},
        "redacted": _REDACTED,
    }
