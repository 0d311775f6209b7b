"""Settings as they are told: each with where its value comes from, and what a change will do to who
watches. Pure. Never shows a login.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from plexbridge.setting_kinds import Kind, Listed, OneOf, Switch
from plexbridge.settings import Settings
from plexbridge.settings_change import AT_ONCE, Change, Plan, accepts, why_not
from plexbridge.settings_model import NOT_SHOWN, SETTINGS, as_text
from plexbridge.web.wording import plural

GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "Watching",
        (
            *("TUNER_COUNT", "MAX_CONCURRENT_STREAMS", "FRIENDLY_NAME", "SESSION_KEEP_ALIVE"),
            *("SESSION_TIMEOUT_GRACE", "AUTO_UPGRADE_TO_RESILIENT", "ENHANCED_CLEANUP_DISABLED"),
            *("CLEANUP_INTERVAL", "PLEXBRIDGE_ADMISSION_WAIT", "PLEXBRIDGE_FIRST_BYTE_TIMEOUT"),
            *("PLEXBRIDGE_UPSTREAM_STALL", "PLEXBRIDGE_LINGER", "ACTIVITY_TRACKING_THROTTLE"),
            "PLEXBRIDGE_ACTIVITY_RECORD_INTERVAL",
        ),
    ),
    (
        "Sources and guides",
        (
            *("PLEXBRIDGE_PLAYLIST", "PLEXBRIDGE_GUIDE", "PLEXBRIDGE_REFRESH"),
            *("PLEXBRIDGE_SOURCE_CONNECTIONS", "PLEXBRIDGE_SOURCE_SETTLE"),
            *("PLEXBRIDGE_UPSTREAM_ALLOW", "FFMPEG_PATH"),
        ),
    ),
    (
        "How players reach it",
        (
            *("BASE_URL", "PLEXBRIDGE_HOST", "PORT", "PLEXBRIDGE_SECOND_PORT", "DEVICE_ID"),
            *("PLEXBRIDGE_DISCOVERY", "PLEXBRIDGE_SSDP", "PLEXBRIDGE_TRUSTED_NETWORKS"),
            *("PLEXBRIDGE_CONNECTIONS_PER_ADDRESS", "PLEXBRIDGE_STARTS_PER_SECOND"),
        ),
    ),
    (
        "How people reach these pages",
        (
            *("PLEXBRIDGE_ADMIN_PASSWORD", "PLEXBRIDGE_ADMIN_KEY", "PLEXBRIDGE_ALLOWED_HOSTS"),
            *("PLEXBRIDGE_TRUSTED_PROXIES", "PLEXBRIDGE_BASE_PATH"),
            "WEBSOCKET_ERROR_HANDLING_DISABLED",
        ),
    ),
    (
        "What is kept and logged",
        (
            *("PLEXBRIDGE_DATA_DIR", "PLEXBRIDGE_RETENTION_DAYS", "PLEXBRIDGE_RETENTION_MB"),
            *("PLEXBRIDGE_LOG_LEVEL", "PLEXBRIDGE_LOG_FORMAT"),
        ),
    ),
)
MORE: Final = "More"
"""Whatever no group names."""

Row = dict[str, Any]


class Watching(NamedTuple):
    """Who would notice."""

    sessions: int
    recovering: int
    tuners: int
    """In use."""


def groups() -> Iterator[tuple[str, list[str]]]:
    """Titles, and the names below each."""
    grouped = {name for _, names in GROUPS for name in names}
    for title, names in (*GROUPS, (MORE, tuple(n for n in SETTINGS if n not in grouped))):
        there = [name for name in names if name in SETTINGS]
        if there:
            yield title, there


def rows(now: Settings, document: Mapping[str, object], later: Settings | None) -> list[Row]:
    """Every setting. `document`: what the file holds; `later`: what a start would come to, None
    where that is not known."""
    return [_row(name, now, document, later) for name in SETTINGS]


def _row(name: str, now: Settings, document: Mapping[str, object], later: Settings | None) -> Row:
    field, setting = SETTINGS[name]
    info = Settings.model_fields[field]
    value, origin = now.shown(name), now.origins[name]
    locked = why_not(now, name)
    next_value = value if later is None else later.shown(name)
    waits = later is not None and getattr(later, field) != getattr(now, field)
    in_file = as_text(_listed(document[name])) if name in document else None
    return {
        "name": name,
        "value": value,
        "origin": origin,
        "default": "" if info.is_required() else as_text(info.get_default()),
        "in_file": NOT_SHOWN if in_file and setting.secret else in_file,
        "next": next_value if waits else None,
        "accepts": accepts(name),
        "choices": _choices(setting.kind),
        "several": isinstance(setting.kind, Listed),
        "meaning": info.description,
        "secret": setting.secret,
        "at_once": name in AT_ONCE,
        "editable": locked is None,
        "why_not": None if locked is None else locked[1],
    }


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _choices(kind: Kind) -> list[str]:
    """All that it accepts, where that is a few words."""
    if isinstance(kind, Switch):
        return ["true", "false"]
    return [*kind.words] if isinstance(kind, OneOf) else []


def consequences(plan: Plan, watching: Watching) -> list[str]:
    """What the change will do, to who watches first."""
    people = plural(watching.sessions, "session")
    going_on = "is" if watching.sessions == 1 else "are"
    told = [
        f"{people} {going_on} open: none ends, nobody is interrupted."
        if watching.sessions
        else "Nobody is watching."
    ]
    for change in plan.changes:
        if change.name not in plan.different:
            told.append(f"{change.name} is so already.")
            continue
        told += _told_of(change, watching)
    if plan.different - AT_ONCE:
        told.append("A restart ends every session: choose a time when nobody watches.")
    return told


def _told_of(change: Change, watching: Watching) -> Iterator[str]:
    after = "nothing" if change.after == "" else change.after
    if not change.at_once:
        yield f"{change.name} takes effect after a restart; until then nothing changes."
        return
    yield f"{change.name} is {after} at once."
    if change.name == "TUNER_COUNT":
        yield "Plex remembers how many tuners it found: remove it there and add it again."
    if change.name == "TUNER_COUNT" and watching.tuners > int(change.after):
        yield (
            f"{plural(watching.tuners, 'tuner')} are in use: who has one keeps it, and who comes "
            f"is refused until fewer than {change.after} are."
        )
    most = int(change.after) if change.name == "MAX_CONCURRENT_STREAMS" else 0
    if most and watching.sessions > most:
        yield f"Who comes is refused until fewer than {most} sessions are open."
    if change.name == "SESSION_TIMEOUT_GRACE" and watching.recovering:
        yield (
            f"{plural(watching.recovering, 'session')} without video now will be given up so long "
            "after its last byte."
        )
    if change.name == "AUTO_UPGRADE_TO_RESILIENT" and watching.sessions:
        yield "Channels that are watched now go on by the old value until nobody watches them."
