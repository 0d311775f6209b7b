"""`channels ls|set|number|bulk|undo`: the lineup, and what people change in it.

Reading looks into the data directory. A change goes through the running bridge, so that players
have it at once; without one, the next start has it.
"""

from typing import Annotated, Any

import typer

from plexbridge.commands.edited_lineup import request, stored_lineup, take_back, tell
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.options import AsJson, DataDir, Port
from plexbridge.commands.output import json_line, line, table
from plexbridge.lineup.edits import AS_LISTED, FIELDS
from plexbridge.lineup.finding import Filter, find
from plexbridge.web.channel_list import channel_document

app = typer.Typer(help="The lineup, and what is changed in it.", no_args_is_help=True)

Words = Annotated[
    str, typer.Option("--find", "-q", help="Words that number, name and group together hold.")
]
Group = Annotated[str | None, typer.Option("--group", "-g", help="Channels of this group.")]
Enabled = Annotated[bool | None, typer.Option("--enabled/--disabled", help="Only those that are.")]
Favourites = Annotated[bool, typer.Option("--favourites", help="Only favourites.")]
Named = Annotated[
    list[str] | None, typer.Option("--channel", "-c", help="This one, by id or guide number.")
]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without it, only say what would be.")]
Enable = Annotated[
    bool | None, typer.Option("--enable/--disable", help="Whether players are given it.")
]
Favour = Annotated[
    bool | None, typer.Option("--favourite/--no-favourite", help="A favourite, or none.")
]
AsListed = Annotated[
    list[str] | None,
    typer.Option("--as-listed", metavar="FIELD", help="Take the edit of a field back; or `all`."),
]


@app.command()
def ls(
    find_words: Words = "",
    group: Group = None,
    enabled: Enabled = None,
    favourites: Favourites = False,
    edited: Annotated[bool, typer.Option("--edited", help="Only what people changed.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 1_000,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Channels in guide order, disabled ones too; works with or without a running bridge."""
    stored = stored_lineup(data_dir)
    wanted = Filter(
        query=find_words,
        group=group,
        enabled=enabled,
        favourite=favourites or None,
        edited=edited or None,
    )
    found = find(stored.served, wanted, stored.edits, limit=limit)
    if as_json:
        for channel in found.channels:
            json_line(channel_document(channel, stored.edits))
        return
    if not found.channels:
        line("no channel is like that")
        return
    rows = [
        (
            channel.guide_number,
            channel.guide_name,
            channel.group,
            "" if channel.enabled else "disabled",
            "favourite" if channel.favourite else "",
            channel.tvg_id,
            ", ".join(dict.fromkeys(upstream.source for upstream in channel.upstreams)),
            ", ".join(stored.edits.get(channel.id, AS_LISTED).edited),
            channel.id,
        )
        for channel in found.channels
    ]
    table(("NUMBER", "NAME", "GROUP", "STATE", "MARK", "TVG-ID", "SOURCES", "EDITED", "ID"), rows)
    if found.matches > len(rows):
        line(f"… and {found.matches - len(rows):,} more")


@app.command("set")
def set_command(
    channel: Annotated[str, typer.Argument(help="An id or a guide number.")],
    number: Annotated[str | None, typer.Option("--number", help="Its guide number.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Its group.")] = None,
    logo: Annotated[str | None, typer.Option("--logo", help="Its logo's URL.")] = None,
    tvg_id: Annotated[
        str | None, typer.Option("--tvg-id", help="The guide channel it is mapped to.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option("--upstream", help="Digest of the upstream tried first, then the next."),
    ] = None,
    enable: Enable = None,
    favourite: Favour = None,
    as_listed: AsListed = None,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Change one channel. Example:

    plexbridge channels set 5.1 --number 101 --name 'BBC One' --favourite
    """
    stored = stored_lineup(data_dir)
    given: dict[str, Any] = {
        "guide_number": number,
        "name": name,
        "group": group,
        "logo": logo,
        "tvg_id": tvg_id,
        "upstreams": upstream or None,
        "enabled": enable,
        "favourite": favourite,
    }
    patch = _patch(given, as_listed)
    document = {"each": {stored.meant(channel).id: patch}}
    _answer(request(stored, document, how="command", port=port), as_json)


@app.command("number")
def number_command(
    from_: Annotated[
        int | None, typer.Option("--from", min=1, help="Count up from here, in guide order.")
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--start", metavar="GROUP=N", help="Count up from N within a group."),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--listed", help="Take the numbers that the playlists give.")
    ] = False,
    find_words: Words = "",
    group: Group = None,
    channel: Named = None,
    apply: Apply = False,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Number enabled channels by a rule. Examples:

    plexbridge channels number --start News=100 --start Sport=200

    plexbridge channels number --listed --apply
    """
    if sum((from_ is not None, bool(start), listed)) != 1:
        raise NotUnderstood("one of --from N, --start GROUP=N and --listed is wanted")
    if listed:
        rule: Any = "listed"
    else:
        rule = {"from": from_} if from_ is not None else {"groups": _starts(start or [])}
    _bulk({"number": rule}, (find_words, group, channel), apply, data_dir, port, as_json)


@app.command()
def bulk(
    find_words: Words = "",
    group: Group = None,
    channel: Named = None,
    everything: Annotated[bool, typer.Option("--all", help="Every channel.")] = False,
    enable: Enable = None,
    favourite: Favour = None,
    move_to: Annotated[str | None, typer.Option("--move-to", help="Their new group.")] = None,
    as_listed: AsListed = None,
    apply: Apply = False,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Change many channels at once. Example:

    plexbridge channels bulk --group 'Shopping' --disable --apply
    """
    if not (everything or find_words or group is not None or channel):
        raise NotUnderstood("say which: --find, --group, --channel or --all")
    given = {"enabled": enable, "favourite": favourite, "group": move_to}
    wishes = _patch(given, as_listed)
    _bulk(wishes, (find_words, group, channel), apply, data_dir, port, as_json)


@app.command()
def undo(
    apply: Apply = False, data_dir: DataDir = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Take the last change back, of however many channels it was; twice, and it is there again."""
    _answer(take_back(stored_lineup(data_dir), apply=apply, port=port), as_json)


def _bulk(
    wishes: dict[str, Any],
    which: tuple[str, str | None, list[str] | None],
    apply: bool,
    data_dir: DataDir,
    port: Port,
    as_json: bool,
) -> None:
    stored = stored_lineup(data_dir)
    words, group, named = which
    select: dict[str, Any] = {"all": True, "q": words}
    if group is not None:
        select["group"] = group
    if named:
        select["ids"] = [stored.meant(text).id for text in named]
    document = {"select": select, "set": wishes, "preview": not apply}
    _answer(request(stored, document, how="command", port=port), as_json)


def _patch(given: dict[str, Any], as_listed: list[str] | None) -> dict[str, Any]:
    """What is given, and null for what is to be as listed."""
    patch = {name: value for name, value in given.items() if value is not None}
    names = FIELDS if as_listed and "all" in as_listed else as_listed or ()
    for name in names:
        if name not in FIELDS:
            raise NotUnderstood(f"--as-listed is one of {', '.join(FIELDS)}, or all")
        patch.setdefault(name, None)
    if not patch:
        raise NotUnderstood("say what is to change; `--help` lists what can")
    return patch


def _starts(given: list[str]) -> dict[str, int]:
    starts: dict[str, int] = {}
    for text in given:
        group, _, number = text.rpartition("=")
        if not number.isdecimal():
            raise NotUnderstood(f"--start is GROUP=N, such as News=100, not {text!r}")
        starts[group] = int(number)
    return starts


def _answer(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        json_line(answer)
    else:
        tell(answer)
