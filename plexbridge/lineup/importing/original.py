"""The backup of the original PlexBridge: JSON, versions 1.0 to 2.1. Pure.

Source: its `GET /api/backup/export`, `{version, data: {channels, streams, …}}`. Channels hold what
the owner set (`number`, `enabled`, `logo`, `epg_id`), streams where the bytes come from. Settings,
guides, profiles and passwords of a backup are not looked at.
"""

import re
from typing import Any, Final

import orjson

from plexbridge.lineup.importing.foreign import (
    ForeignChannel,
    NotImportable,
    flag,
    number_text,
    rows_of,
    text,
    url,
)

VERSIONS: Final = "1.0 to 2.1"
_KNOWN: Final = re.compile(r"(1\.\d+|2\.[01])(\.\d+)?")


def original_channels(document: Any) -> list[ForeignChannel]:
    """The channels of a backup.

    Raises:
        NotImportable: it is none, or one of a version that is not known.
    """
    if not isinstance(document, dict):
        raise NotImportable("a backup is a JSON object")
    version = str(document.get("version", "1.0"))
    if not _KNOWN.fullmatch(version):
        raise NotImportable(f"the backup's version is {version[:20]!r}; {VERSIONS} are known")
    data = document.get("data", document)
    if not isinstance(data, dict) or not isinstance(data.get("channels"), list):
        raise NotImportable("there is no list of channels in it; is it a PlexBridge backup?")
    streams: dict[str, list[dict[str, Any]]] = {}
    for stream in rows_of(data.get("streams")):
        if flag(stream, "enabled", default=True):
            streams.setdefault(text(stream, "channel_id"), []).append(stream)
    return [
        _channel(row, [*streams.get(text(row, "id"), ()), *rows_of(row.get("streams"))])
        for row in rows_of(data["channels"])
    ]


def _channel(row: dict[str, Any], streams: list[dict[str, Any]]) -> ForeignChannel:
    urls = [found for stream in streams for found in _urls(stream)]
    return ForeignChannel(
        name=text(row, "name") or "unnamed",
        urls=tuple(dict.fromkeys(urls)),
        number=number_text(row, "number"),
        enabled=flag(row, "enabled", default=True),
        logo=url(row.get("logo")),
        tvg_id=text(row, "epg_id"),
        guide_id=text(row, "epg_id"),
    )


def _urls(stream: dict[str, Any]) -> list[str]:
    """`backup_urls` is a list, or the text of one as its database keeps it."""
    backups = stream.get("backup_urls")
    if isinstance(backups, str):
        try:
            backups = orjson.loads(backups)
        except orjson.JSONDecodeError:
            backups = [backups]
    others = backups if isinstance(backups, list) else []
    return [found for found in map(url, [stream.get("url"), *others]) if found]
