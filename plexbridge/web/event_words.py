"""What an event says, for a person, beside its type and its step. Pure.

An event of a type that is not known here says nothing more; its data is shown as it is.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from plexbridge.web.wording import lasted, plural, size

Data = Mapping[str, Any]


def event_words(event: Mapping[str, Any]) -> str:
    """One line, from an event as the API shows it; empty where nothing is to be added."""
    said = _BY_TYPE.get(event["type"])
    return "" if said is None else said(event["data"])


def _connect(data: Data) -> str:
    client = data["client"]
    who = client["name"] or client["user_agent"] or "a player"
    again = "came back, " if data["resumed"] else ""
    waited = f", after waiting {lasted(data['waited_ms'])}" if data["waited_ms"] else ""
    channel = f"{data['channel']['guide_number']} {data['channel']['name']}"
    return f"{again}{who} at {client['address']}, {channel}, tuner {data['tuner']}{waited}"


def _activity(data: Data) -> str:
    first = data.get("first_byte_ms")
    begun = "" if first is None else f"first byte after {lasted(first)}, "
    return f"{begun}{size(data['bytes'])} by now"


def _end(data: Data) -> str:
    kept = ", kept for its grace" if data["maintained"] else ""
    return f"{data['reason']} · {data['detail']}{kept}"


def _leased(data: Data) -> str:
    of = f" of {data['allowed']}" if data["allowed"] else ""
    connections = f"{plural(data['in_use'], 'connection')}{of}"
    return f"tuner {data['tuner']} from {data['source']}, which gives {connections}"


def _released(data: Data) -> str:
    return f"tuner {data['tuner']} is free: {data['why']}, held for {lasted(data['held_ms'])}"


def _opened(data: Data) -> str:
    return f"{data['source']}, attempt {data['attempt']}: {data.get('url', '')}"


def _first_byte(data: Data) -> str:
    gap = f", after a gap of {lasted(data['gap_ms'])}" if "gap_ms" in data else ""
    return f"{data['source']} gives video after {lasted(data['after_ms'])}{gap}"


def _lost(data: Data) -> str:
    return f"{data['source']}, attempt {data['attempt']}: {data['reason']} · {data['detail']}"


def _refused(data: Data) -> str:
    return f"{data['client']['name'] or 'a player'} at {data['client']['address']}: {data['text']}"


_BY_TYPE: Final[dict[str, Callable[[Data], str]]] = {
    "connect": _connect,
    "activity": _activity,
    "error": _end,
    "disconnect": _end,
    "reclaim": _end,
    "tuner_leased": _leased,
    "tuner_released": _released,
    "source_changed": lambda data: f"from {data['before']} to {data['source']}",
    "upstream_opened": _opened,
    "upstream_first_byte": _first_byte,
    "upstream_lost": _lost,
    "upstream_closed": lambda data: f"{data.get('source', '')}, attempt {data['attempt']}",
    "refused": _refused,
    "settings_changed": lambda data: f"{', '.join(data['names'])}, by {data['by']}",
    "started": lambda data: f"PlexBridge {data.get('version', '')}",
    "recovered": lambda data: f"{plural(data['sessions'], 'session')} had been left open",
}
