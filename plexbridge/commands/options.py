"""Options that more than one command takes, and what they mean."""

import os
from pathlib import Path
from typing import Annotated

import typer

from plexbridge.settings import Settings, default_data_dir, load_settings

_NAME = "PLEXBRIDGE_DATA_DIR"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The directory with plexbridge.db [PLEXBRIDGE_DATA_DIR]; for reading also a file that "
        "`events export`, `events archive` or `incident` wrote.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, one document a line.")]
Utc = Annotated[bool, typer.Option("--utc", help="Times in UTC instead of local time.")]
Port = Annotated[
    int | None,
    typer.Option("--port", help="The running bridge's port [PORT].", show_default=False),
]


def data_directory(given: Path | None) -> Path:
    """The data directory meant. Alone, so that a wrong setting keeps nobody from reading a log."""
    named = given or os.environ.get(_NAME, "").strip() or default_data_dir(os.environ)
    return Path(named).expanduser().absolute()


def settings_for(data_dir: Path | None, **given: object) -> Settings:
    """Every setting in force for a command.

    Raises:
        SettingsInvalid: with one line for each that is wrong.
    """
    return load_settings({"data_dir": data_dir, **given}, os.environ)
