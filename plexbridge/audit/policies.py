"""Another policy, as a person writes it: `keep_alive=true,grace=10s,tuners=2`.

Knows the names (the seed's, the settings' and the policy's own) and what each accepts; the bounds
are those of the settings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from events.policy import Policy

BEFORE_FIX: Final = "before_fix"
"""The rule of before the seed's fix, in which a viewer who left kept the tuner."""

RECORDED: Final = "recorded"
"""The policy in force then: to see that the log is decided again as it stands."""

_BEFORE_FIX: Final = {"enhanced_cleanup_disabled": True, "keep_alive": True}

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)")
_WHOLE = re.compile(r"\d{1,9}")
_ON: Final = frozenset({"true", "yes", "on", "1"})
_OFF: Final = frozenset({"false", "no", "off", "0"})


class NoPolicy(ValueError):
    """What was written names no policy; one line that says what would."""


@dataclass(frozen=True, slots=True)
class _Value:
    """How one value is written."""

    names: tuple[str, ...]
    kind: str
    """`switch`, `count` or `ms`."""
    low: int = 0
    high: int = 0

    @property
    def accepts(self) -> str:
        if self.kind == "switch":
            return "true or false"
        if self.kind == "count":
            return f"a whole number from {self.low} to {self.high}"
        return f"a time with its unit, such as 500ms, 10s or 2m, up to {self.high} ms"


_HOUR_MS: Final = 3_600_000

VALUES: Final[Mapping[str, _Value]] = {
    "keep_alive": _Value(("session_keep_alive",), "switch"),
    "enhanced_cleanup_disabled": _Value((), "switch"),
    "grace_ms": _Value(("grace", "session_timeout_grace"), "ms", 100, _HOUR_MS),
    "first_byte_ms": _Value(("first_byte", "first_byte_timeout"), "ms", 100, 60_000),
    "active_idle_ms": _Value(("active_idle",), "ms", 100, _HOUR_MS),
    "recovery_attempts": _Value((), "count", 1, 1_000),
    "linger_ms": _Value(("linger",), "ms", 0, 600_000),
    "admission_wait_ms": _Value(("admission_wait",), "ms", 0, 30_000),
    "tuners": _Value(("tuner_count",), "count", 1, 1_000),
    "max_sessions": _Value(("max_concurrent_streams",), "count", 0, 10_000),
}
"""Values that decisions depend on and the log tells enough of, by their name in `Policy`."""

_NO_DIFFERENCE: Final[Mapping[str, str]] = {
    "auto_upgrade": "it changes how a relay reconnects, and the recorded reconnects are what is "
    "decided on",
    "activity_record_ms": "what was not recorded cannot be recorded now",
    "uptake_window_ms": "what was seen of a slow client is not recorded",
    "skips_allowed": "what was seen of a slow client is not recorded",
}
"""Values of a policy that a what-if cannot tell anything about, and why."""

_BY_NAME: Final = {
    word: name for name, value in VALUES.items() for word in (name, *value.names)
} | {name: name for name in _NO_DIFFERENCE}
_ALIASES: Final = {
    "auto_upgrade_to_resilient": "auto_upgrade",
    "activity_record_interval": "activity_record_ms",
    "activity_record": "activity_record_ms",
}

Overrides = Mapping[str, Any]
"""Field of `Policy` → value."""


def parse(text: str) -> Overrides:
    """What differs from the recorded policy.

    Raises:
        NoPolicy: an unknown name, or a value that is not accepted.
    """
    overrides: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        if part.lower() == RECORDED:
            continue
        if part.lower() == BEFORE_FIX:
            overrides |= _BEFORE_FIX
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise NoPolicy(f"{part!r} is no KEY=VALUE, nor {BEFORE_FIX} or {RECORDED}")
        field = _field(name)
        overrides[field] = _read(name.strip(), VALUES[field], value.strip(), field)
    return overrides


def _field(name: str) -> str:
    word = name.strip().lower().removeprefix("plexbridge_")
    field = _BY_NAME.get(_ALIASES.get(word, word))
    if field is None:
        known = ", ".join(
            sorted(value.names[0] if value.names else n for n, value in VALUES.items())
        )
        raise NoPolicy(f"no value {name.strip()!r} in a policy; there are {known}")
    if field in _NO_DIFFERENCE:
        raise NoPolicy(f"{name.strip()} makes no difference here: {_NO_DIFFERENCE[field]}")
    return field


def _read(name: str, value: _Value, text: str, field: str) -> object:
    """A bare number is milliseconds only under a name that says so, as in the settings."""
    word = text.lower()
    if value.kind == "switch" and word in _ON | _OFF:
        return word in _ON
    number: float | None = None
    if value.kind == "count" and _WHOLE.fullmatch(word):
        number = int(word)
    elif value.kind == "ms" and (found := _DURATION.fullmatch(word)):
        number = float(found[1]) * _UNITS_MS[found[2]]
    elif value.kind == "ms" and _WHOLE.fullmatch(word) and (name.isupper() or name == field):
        number = int(word)
    elif value.kind == "ms" and word == "0":
        number = 0
    if number is None or not value.low <= number <= value.high:
        raise NoPolicy(f"{name} accepts {value.accepts}, not {text!r}")
    return int(number)


def applied(policy: Policy, overrides: Overrides) -> Policy:
    """A recorded policy with what differs."""
    return replace(policy, **overrides)
