"""The channels of xTeVe and of Threadfin: `xepg.json`, beside their settings. Pure.

One object by channel. Without `x-` in their names stand the playlist's own values, with it what the
owner made of them; `x-channelID` is the number, `x-mapping` the guide channel. Only `x-active`
channels are given to players; Threadfin's `x-hide-channel` ones serve as backups of others.
"""

from typing import Any, Final

from plexbridge.lineup.importing.foreign import (
    ForeignChannel,
    NotImportable,
    flag,
    number_text,
    rows_of,
    text,
    url,
)

_DUMMY: Final = "dummy"
"""Part of the name of the guide that both make up for channels without one."""


def xepg_channels(document: Any) -> list[ForeignChannel]:
    """The channels of the file.

    Raises:
        NotImportable: it is another of their files, or none of them.
    """
    rows = list(rows_of(document)) if isinstance(document, dict) else []
    channels = [_channel(row) for row in rows if "x-channelID" in row or "x-name" in row]
    if channels:
        return channels
    if isinstance(document, dict) and ("files" in document or "filter" in document):
        raise NotImportable(
            "these are the settings; the channels are in xepg.json beside them: name that file, "
            "its folder, or a backup (.zip)"
        )
    raise NotImportable("there are no channels in it; xepg.json is wanted, from the config folder")


def _channel(row: dict[str, Any]) -> ForeignChannel:
    mapping = text(row, "x-mapping")
    made_up = _DUMMY in text(row, "x-xmltv-file").lower()
    return ForeignChannel(
        name=text(row, "x-name", "name", "tvg-name") or "unnamed",
        listed_name=text(row, "name", "tvg-name"),
        listed_group=text(row, "group-title"),
        tvg_id=text(row, "tvg-id"),
        urls=tuple(found for found in [url(row.get("url"))] if found),
        number=number_text(row, "x-channelID"),
        group=text(row, "x-group-title"),
        enabled=flag(row, "x-active", default=False)
        and not flag(row, "x-hide-channel", default=False),
        logo=url(row.get("tvg-logo")),
        guide_id="" if mapping == "-" or made_up else mapping,
    )
