"""Changing `settings.toml`: what is asked, whether it can be, and when it takes effect. Pure.

Knows which settings a running bridge takes over; how it does is `live_settings`. An overridden
setting is not written: that would change nothing, now or later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from plexbridge.setting_kinds import Hint
from plexbridge.settings import Settings, with_file
from plexbridge.settings_file import Value
from plexbridge.settings_model import SETTINGS, Origin

AT_ONCE: Final = frozenset(
    {
        "TUNER_COUNT",
        "MAX_CONCURRENT_STREAMS",
        "FRIENDLY_NAME",
        "SESSION_KEEP_ALIVE",
        "SESSION_TIMEOUT_GRACE",
        "AUTO_UPGRADE_TO_RESILIENT",
        "ENHANCED_CLEANUP_DISABLED",
        "CLEANUP_INTERVAL",
        "ACTIVITY_TRACKING_THROTTLE",
        "PLEXBRIDGE_ACTIVITY_RECORD_INTERVAL",
        "PLEXBRIDGE_ADMISSION_WAIT",
        "PLEXBRIDGE_SOURCE_CONNECTIONS",
        "PLEXBRIDGE_STARTS_PER_SECOND",
        "PLEXBRIDGE_RETENTION_DAYS",
        "PLEXBRIDGE_RETENTION_MB",
    }
)
"""What a running bridge takes over; everything else waits for the next start."""

assert SETTINGS.keys() >= AT_ONCE, "a setting was renamed"

OVERRIDING: Final = frozenset({Origin.ENVIRONMENT, Origin.COMMAND_LINE})
"""Layers that win over the file."""


BY_HAND: Final = {
    "FFMPEG_PATH": "Names a program that is run",
    "PLEXBRIDGE_UPSTREAM_ALLOW": "Opens networks that are closed for a reason",
    "PLEXBRIDGE_TRUSTED_PROXIES": "Says whose word about addresses is believed",
}
"""Whoever got hold of a login must not choose these from afar; with the reason."""


def why_not(now: Settings, name: str) -> tuple[str, str] | None:
    """Why a setting cannot be changed from afar: a word for programs, a sentence for people."""
    origin = now.origins[name]
    if origin in OVERRIDING:
        return "overridden", f"Set by the {origin}, which wins over settings.toml: change it there."
    if not SETTINGS[name][1].in_file:
        return "not_in_file", "Not kept in settings.toml: set it in the environment."
    if name in BY_HAND:
        where = "set it in the environment, or in settings.toml by hand."
        return "by_hand", f"{BY_HAND[name]}: {where}"
    return None


class SettingRefused(Exception):
    """A setting that cannot be changed so: its name, a word for programs, a sentence for people."""

    def __init__(self, name: str, word: str, why: str) -> None:
        super().__init__(why)
        self.name = name
        self.word = word


@dataclass(frozen=True, slots=True)
class Change:
    """One setting, as it may be shown."""

    name: str
    before: str
    """In force."""
    after: str
    """As of the next start, and now where `at_once`."""
    at_once: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change comes to."""

    changes: tuple[Change, ...]
    written: Mapping[str, Value | None] = field(repr=False)
    """For the file; None: taken out."""
    different: frozenset[str]
    """Names whose value in the file, or in force, is another one."""
    later: Settings
    """Those of the next start."""

    @property
    def at_once(self) -> frozenset[str]:
        """Names that are taken over now."""
        return self.different & AT_ONCE


def plan(now: Settings, document: Mapping[str, object], wishes: Mapping[str, Any]) -> Plan:
    """What comes of these wishes: a value for each name, None for what holds without the file.

    `document`: what the file holds.

    Raises:
        SettingRefused: one of them cannot be set here, or not to that.
        SettingsInvalid: the file as it is holds something else that is wrong.
    """
    written = {name: _value(now, name, wish) for name, wish in wishes.items()}
    merged = {**document, **written}
    later = with_file(now, {name: value for name, value in merged.items() if value is not None})
    changes = tuple(
        Change(name, now.shown(name), later.shown(name), at_once=name in AT_ONCE)
        for name in written
    )
    other = {name for name, value in written.items() if document.get(name) != value}
    other |= {change.name for change in changes if change.before != change.after}
    return Plan(changes, written, frozenset(other), later)


def _value(now: Settings, name: str, wish: object) -> Value | None:
    if name not in SETTINGS:
        raise SettingRefused(name, "unknown_setting", "there is no setting of this name")
    setting = SETTINGS[name][1]
    if (locked := why_not(now, name)) is not None:
        word, why = locked
        raise SettingRefused(name, word, f"{name}: {why}")
    if wish is None:
        return None
    try:
        return _plain(setting.kind.read(wish))
    except ValueError as wrong:
        shown = "" if setting.secret else f" {_cut(str(wish))!r}"
        hint = f" ({wrong})" if isinstance(wrong, Hint) else ""
        why = f"{name} does not accept{shown or ' this'}{hint}; it accepts {accepts(name)}"
        raise SettingRefused(name, "not_accepted", why) from wrong


def _plain(value: object) -> Value:
    """As the file has it."""
    if isinstance(value, tuple):
        return [str(one) for one in value]
    return value if isinstance(value, bool | int) else str(value)


def accepts(name: str) -> str:
    """In words, for a page that shows no marks of code."""
    return SETTINGS[name][1].kind.accepts.replace("`", "")


_SHOWN_CHARS: Final = 80


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
