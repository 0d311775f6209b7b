"""What a person sets of one source in the page, beside its address and what stands behind its pipe.

Pure. An option that is not set is as the address says it, and where that says nothing, as the
settings do. Values of headers are secrets: they are taken in, and never given out again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from plexbridge.lineup.headers import HEADERS_MAX, HeaderSet
from plexbridge.lineup.source import BOUNDS, Headers, Source

USER_AGENT: Final = "User-Agent"


class OptionInvalid(Exception):
    """A value that an option cannot have. Never quotes it."""

    def __init__(self, option: str, wanted: str) -> None:
        super().__init__(f"{option}: {wanted}")
        self.option = option


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """None: not set. The numbers mean what they mean in `Source`."""

    user_agent: str | None = None
    headers: Headers = field(default=(), repr=False)
    """Beside the user agent."""
    max_connections: int | None = None
    refresh_hours: int | None = None
    refresh_jitter: int | None = None
    settle_ms: int | None = None


NOT_SET: Final = SourceOptions()
OPTIONS: Final = tuple(option.name for option in fields(SourceOptions))


def patched(options: SourceOptions, patch: object) -> SourceOptions:
    """The options with those of a patch: a value sets one, null takes it away; `headers` names
    headers, each with its value, or null to take it away; the others stay.

    Raises:
        OptionInvalid: something of it cannot be.
    """
    if not isinstance(patch, Mapping) or not patch or patch.keys() - set(OPTIONS):
        raise OptionInvalid("body", f"an object with some of {', '.join(OPTIONS)} is wanted")
    changes: dict[str, Any] = {}
    for name, value in patch.items():
        if name == "headers":
            changes[name] = _headers(options.headers, value)
        elif name == "user_agent":
            changes[name] = None if value is None else _header(USER_AGENT, value, name)[1]
        else:
            changes[name] = _number(name, value)
    return replace(options, **changes)


def with_options(source: Source, options: SourceOptions) -> Source:
    """The source as these say it, and where they do not, as it was written down."""
    headers = HeaderSet()
    agent = () if options.user_agent is None else ((USER_AGENT, options.user_agent),)
    for name, value in (*source.headers, *options.headers, *agent):
        headers.put(name, value)
    numbers = {name: value for name in BOUNDS if (value := getattr(options, name)) is not None}
    return replace(source, headers=headers.pairs(), **numbers)


def _headers(held: Headers, patch: object) -> Headers:
    wanted = "names of headers are wanted, each with its value, or null to take it away"
    if not isinstance(patch, Mapping):
        raise OptionInvalid("headers", wanted)
    said = {name.lower(): (name, value) for name, value in held}
    for name, value in patch.items():
        if name.lower() == USER_AGENT.lower():
            raise OptionInvalid("headers", "the user agent is an option of its own")
        said.pop(name.lower(), None)
        if value is not None:
            said[name.lower()] = _header(name, value, "headers")
    if len(said) >= HEADERS_MAX:
        raise OptionInvalid("headers", f"at most {HEADERS_MAX - 1}")
    return tuple(said.values())


def _header(name: str, value: object, option: str) -> tuple[str, str]:
    headers = HeaderSet()
    if isinstance(value, str):
        headers.put(name, value)
    pairs = headers.pairs()
    if not pairs:
        raise OptionInvalid(option, "not a header, or one that is ours to say (Host, Range, …)")
    return pairs[0]


def _number(name: str, value: object) -> int | None:
    if value is None:
        return None
    least, most = BOUNDS[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise OptionInvalid(name, f"a whole number from {least} to {most}, or null")
    return value
