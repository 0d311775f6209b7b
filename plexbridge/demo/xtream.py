"""The pretend provider as an Xtream panel: one account, `demo` with the password `demo`.

Knows what `player_api.php` answers; the live channels themselves are the provider's.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from plexbridge.demo.channels import Channel

USER: Final = "demo"
PASSWORD: Final = "demo"

MAX_CONNECTIONS: Final = 4
"""As many as the bridge has tuners by default; the demo does not enforce it."""

_FIELDS_MAX: Final = 16


def live_path(channel: Channel) -> str:
    """Where a panel's clients read a channel."""
    return f"/live/{USER}/{PASSWORD}/{channel.number}.ts"


def player_api(channels: Sequence[Channel], query: str) -> bytes:
    """The answer of `player_api.php?query`, odd types and all: numbers are texts here."""
    asked = parse_qs(query, max_num_fields=_FIELDS_MAX) if query.count("&") < _FIELDS_MAX else {}
    said = {name: values[0] for name, values in asked.items()}
    if (said.get("username"), said.get("password")) != (USER, PASSWORD):
        return orjson.dumps({"user_info": {"auth": 0}})
    match said.get("action"):
        case None:
            return orjson.dumps({"user_info": _account(), "server_info": {"timezone": "UTC"}})
        case "get_live_categories":
            return orjson.dumps(_categories(channels))
        case "get_live_streams":
            return orjson.dumps(_streams(channels))
        case _:
            return b"[]"


def _account() -> dict[str, Any]:
    return {
        "auth": 1,
        "status": "Active",
        "exp_date": None,
        "is_trial": "0",
        "active_cons": "0",
        "max_connections": str(MAX_CONNECTIONS),
        "allowed_output_formats": ["ts"],
    }


def _categories(channels: Sequence[Channel]) -> list[dict[str, Any]]:
    return [
        {"category_id": str(at), "category_name": group, "parent_id": 0}
        for at, group in enumerate(_groups(channels), start=1)
    ]


def _streams(channels: Sequence[Channel]) -> list[dict[str, Any]]:
    groups = _groups(channels)
    return [
        {
            "num": channel.number,
            "name": channel.name,
            "stream_type": "live",
            "stream_id": channel.number,
            "stream_icon": "",
            "epg_channel_id": channel.tvg_id,
            "category_id": str(groups.index(channel.group) + 1),
            "direct_source": "",
        }
        for channel in channels
    ]


def _groups(channels: Sequence[Channel]) -> list[str]:
    return list(dict.fromkeys(channel.group for channel in channels))
