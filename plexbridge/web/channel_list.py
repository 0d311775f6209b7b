"""How a request says which channels it wants, and how a channel is told to a program. Pure.

Knows lineups; finding is `lineup.finding`'s.
"""

from collections.abc import Mapping
from typing import Any, Final

from plexbridge.lineup.channels import Channel
from plexbridge.lineup.edits import AS_LISTED, Edit, Edits, field_of
from plexbridge.lineup.finding import QUERY_CHARS, Filter
from plexbridge.lineup.redact import redact
from plexbridge.web.answers import ApiError

_SWITCHES: Final = ("enabled", "favourite", "edited")
_FLAGS: Final = {"true": True, "false": False}


def filter_asked(given: Mapping[str, str]) -> Filter:
    """`q=&group=&enabled=&favourite=&edited=`."""
    switches: dict[str, bool | None] = {}
    for name in _SWITCHES:
        text = given.get(name, "")
        if text and text not in _FLAGS:
            raise ApiError(400, "not_a_flag", f"{name} is true or false")
        switches[name] = _FLAGS.get(text)
    query = given.get("q", "").strip()[:QUERY_CHARS]
    return Filter(query=query, group=given.get("group"), **switches)


def selection(wanted: Filter) -> dict[str, Any]:
    """The same, as `POST /api/channels/bulk` selects it."""
    chosen: dict[str, Any] = {"q": wanted.query} if wanted.query else {}
    for name in ("group", *_SWITCHES):
        if getattr(wanted, name) is not None:
            chosen[name] = getattr(wanted, name)
    return chosen or {"all": True}


def channel_document(channel: Channel, edits: Edits) -> dict[str, Any]:
    """A channel as programs are told of it: without addresses. One source is named per upstream."""
    return {
        "id": channel.id,
        "guide_number": channel.guide_number,
        "name": channel.guide_name,
        "group": channel.group,
        "enabled": channel.enabled,
        "favourite": channel.favourite,
        "tvg_id": channel.tvg_id,
        "sources": [upstream.source for upstream in channel.upstreams],
        "edits": list(edits.get(channel.id, AS_LISTED).edited),
    }


def whole_document(channel: Channel, listed: Channel, edit: Edit) -> dict[str, Any]:
    """The same and more of one channel: what it is edited from, and its upstreams by digest."""
    told = ("guide_number", "name", "group", "tvg_id", "enabled")
    return {
        **channel_document(channel, {channel.id: edit}),
        "logo": redact(channel.logo),
        "listed": {name: field_of(listed, name) for name in told},
        "upstreams": [
            {"digest": upstream.digest, "source": upstream.source, "address": upstream.redacted}
            for upstream in channel.upstreams
        ],
    }
