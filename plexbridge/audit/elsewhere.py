"""Decides commands with whatever `events` package its interpreter finds: run as a script.

Knows nothing of this version: it is started with another version's directory first on its path,
reads commands with the events recorded of them from stdin, and writes to stdout, one JSON document
a line, what that version decides otherwise. Each decision is judged on the recorded state.
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

import events
from events import commands
from events.decide import decide
from events.machine import MACHINE_ID
from events.world import World, evolve

Fact = tuple[str, str, str | None, str | None, int, Any]
"""Stream, type, src, dst, at, payload."""


def built(hint: Any, value: Any) -> Any:
    """A value of JSON as the type that a field of a command has here."""
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        known = {name: built(hints[name], value[name]) for name in hints if name in value}
        return hint(**known)
    if origin in (Union, UnionType):
        others = [one for one in arguments if one is not type(None)]
        return None if value is None else built(others[0], value)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(built(arguments[0], one) for one in value)
    if origin is tuple:
        return tuple(built(one, part) for one, part in zip(arguments, value, strict=True))
    if origin is Sequence:
        return tuple(built(arguments[0], one) for one in value)
    return value


def facts_of(drafts: Sequence[Any]) -> Iterator[Fact]:
    """Drafts as JSON would give them back."""
    for draft in drafts:
        payload = orjson.loads(orjson.dumps(draft.payload, default=dict))
        yield draft.stream, draft.type, draft.src, draft.dst, draft.at, payload


def differs(decided: Sequence[Fact], recorded: Sequence[Any]) -> str:
    """`decision`, `fields` (only names that one of them does not have), or nothing."""
    if len(decided) != len(recorded):
        return "decision"
    fields = False
    for mine, theirs in zip(decided, recorded, strict=True):
        if list(mine[:5]) != theirs[:5]:
            return "decision"
        if mine[5] == theirs[5]:
            continue
        if any(mine[5][name] != theirs[5][name] for name in mine[5].keys() & theirs[5].keys()):
            return "decision"
        fields = True
    return "fields" if fields else ""


def answer(line: Mapping[str, Any], world: World) -> dict[str, Any] | None:
    """What is decided otherwise of one command; None for nothing."""
    kind = getattr(commands, line["kind"], None)
    if kind is None:
        return {"kind": "decision", "error": f"there is no command {line['kind']}"}
    try:
        decided = list(facts_of(decide(built(kind, line["command"]), world).drafts))
    except Exception as fault:
        return {"kind": "decision", "error": repr(fault)}
    kind_of_difference = differs(decided, [fact[:6] for fact in line["facts"]])
    if not kind_of_difference:
        return None
    return {"kind": kind_of_difference, "decided": decided}


def main() -> None:
    """Until stdin ends, or an event cannot be folded here."""
    world = World()
    tell({"events": events.__file__, "machine": MACHINE_ID})
    for number, text in enumerate(sys.stdin.buffer):
        line = orjson.loads(text)
        found = answer(line, world)
        if found is not None:
            tell({**line, "number": number, "difference": found})
        try:
            for stream, type_, src, dst, at, payload, ver in line["facts"]:
                fact = SimpleNamespace(
                    stream=stream, type=type_, src=src, dst=dst, at=at, payload=payload, ver=ver
                )
                evolve(world, fact)
        except Exception as fault:
            tell({"stopped": number, "error": repr(fault)})
            return
    tell({"done": True})


def tell(document: Mapping[str, Any]) -> None:
    """A document on a line of its own."""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
