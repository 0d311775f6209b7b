"""`key create|ls|revoke|link`: API keys, and a link to set the password.

Keys are made and revoked in the data directory, with or without a running bridge, which looks at
the file itself; only a link needs one, for it is kept in memory alone.
"""

import os
from datetime import UTC
from http import HTTPStatus
from typing import Annotated, Final

import typer

from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import NotUnderstood, Unreachable
from plexbridge.commands.moments import shown
from plexbridge.commands.options import AsJson, DataDir, Port, Utc, data_directory, settings_for
from plexbridge.commands.output import json_line, line, note, pick, table
from plexbridge.commands.running import address_of, ask
from plexbridge.data_dir import prepare_data_dir
from plexbridge.web.access.keys import (
    KEYS_MAX,
    NAME_CHARS_MAX,
    ApiKey,
    Keys,
    change_keys,
    read_keys,
)
from plexbridge.web.access.roles import Role
from plexbridge.web.access.tokens import digest_of, new_token

app = typer.Typer(help="API keys, and the link to set the password.", no_args_is_help=True)

KEY_PREFIX: Final = "pbk_"
"""So that programs that look for secrets in files find it."""

Name = Annotated[str, typer.Option("--name", help="What it is for, such as `homepage`.")]


@app.command()
def create(
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="A viewer reads, an admin acts as well.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and show it this once. Send it as `X-Api-Key`."""
    if not 1 <= len(name) <= NAME_CHARS_MAX or not name.isprintable() or name != name.strip():
        raise NotUnderstood(f"--name is 1 to {NAME_CHARS_MAX} printable characters")
    directory = data_directory(data_dir)
    prepare_data_dir(directory)
    key = KEY_PREFIX + new_token(os.urandom)
    made = ApiKey(name, role, digest_of(key), SteadyClock().now() // 1_000)

    def with_it(kept: Keys) -> Keys:
        if any(one.name == name for one in kept):
            raise NotUnderstood(f"there is a key {name!r} already: revoke it, or name another")
        if len(kept) >= KEYS_MAX:
            raise NotUnderstood(f"there are {KEYS_MAX} keys already: revoke some")
        return (*kept, made)

    change_keys(directory, with_it)
    if as_json:
        json_line({"name": name, "role": role, "key": key})
        return
    note(f"key {name!r} ({role}), shown this once; send it as X-Api-Key:")
    line(key)


@app.command()
def ls(data_dir: DataDir = None, as_json: AsJson = False, utc: Utc = False) -> None:
    """Every key's name and role; never the key."""
    keys = read_keys(data_directory(data_dir))
    if as_json:
        for key in keys:
            json_line({"name": key.name, "role": key.role, "created_at": key.created_at_ms})
        return
    if not keys:
        line("no keys")
        return
    zone = UTC if utc else None
    rows = [(key.name, key.role, shown(key.created_at_ms * 1_000, zone)[:-4]) for key in keys]
    table(("NAME", "ROLE", "MADE"), rows)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="A key's name.")], data_dir: DataDir = None
) -> None:
    """A key opens nothing any more: within a second, and within five where a feed is open."""

    def without_it(kept: Keys) -> Keys:
        left = tuple(one for one in kept if one.name != name)
        if len(left) == len(kept):
            raise NotUnderstood(f"no key is called {name!r}; `plexbridge key ls` lists them")
        return left

    directory = data_directory(data_dir)
    if not directory.is_dir():
        raise NotUnderstood(f"{directory} is no data directory; name it with --data-dir")
    change_keys(directory, without_it)
    line(f"{name} revoked")


@app.command()
def link(data_dir: DataDir = None, port: Port = None, as_json: AsJson = False) -> None:
    """A link to set a new password on the running bridge: works once, for 15 minutes."""
    settings = settings_for(data_dir, port=port)
    answer = ask(settings, "POST", "/api/access/link")
    document = answer.document()
    path = pick(document, "path")
    if answer.status != HTTPStatus.OK or not isinstance(path, str):
        told = document.get("detail") or HTTPStatus(answer.status).phrase
        raise Unreachable(f"the bridge answers {answer.status}: {told}")
    host, at_port = address_of(settings)
    shown_host = f"[{host}]" if ":" in host else host
    base = settings.base_url or f"http://{shown_host}:{at_port}"
    url = f"{base}{settings.base_path}/{path}"
    if as_json:
        json_line({"url": url, "valid_s": pick(document, "valid_s")})
        return
    note("works once, for 15 minutes; on another machine, put this one's address in its place:")
    line(url)
