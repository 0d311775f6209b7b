"""`settings.toml`: one key a line, read and written. Blocks.

Knows the form of the file, and not what any setting means. What a person wrote beside the keys
(comments, order) stays, as long as it can be seen to stay.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from plexbridge.private_file import read_bounded, write_private

FILE_BYTES_MAX: Final = 1024 * 1024
"""Some fifty settings and their comments have a hundredth of that."""

HEADING: Final = "# Settings of PlexBridge. The environment and the command line win over them.\n"

Value = str | int | bool | list[str]
"""What a setting is in the file."""


class SettingsFileUnusable(Exception):
    """The file cannot be read, or is no TOML; one line that says which and why."""


def read_settings_file(path: Path) -> dict[str, object]:
    """What the file holds, by key; nothing where there is none.

    Raises:
        SettingsFileUnusable: it cannot be read, or is no TOML.
    """
    return _parsed(_text(path), path)


def change_settings_file(path: Path, changes: Mapping[str, Value | None]) -> None:
    """Set keys, or take them out (None), in one step; readable by its owner alone.

    Raises:
        SettingsFileUnusable: what is there cannot be read, or is no TOML.
        OSError: it cannot be written; what is there is untouched.
    """
    text = _text(path)
    write_private(path, edited(text, _parsed(text, path), changes))


def _text(path: Path) -> str:
    try:
        return read_bounded(path, FILE_BYTES_MAX) or ""
    except NotADirectoryError:
        return ""
    except OSError as failed:
        raise SettingsFileUnusable(f"{path} cannot be read: {failed.strerror}") from failed
    except ValueError as wrong:  # too long, or no UTF-8; neither message quotes a value
        raise SettingsFileUnusable(f"{path} is not a TOML file: {wrong}") from wrong


def _parsed(text: str, path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:  # its message quotes no value
        raise SettingsFileUnusable(f"{path} is not a TOML file: {wrong}") from wrong


def edited(text: str, document: Mapping[str, object], changes: Mapping[str, Value | None]) -> str:
    """The file's text with these changes; `document`: what the text holds. Pure.

    Lines that hold one of the keys alone are replaced. Whether that came out right is read back:
    where it did not (a value over several lines), the file is written anew, without comments.
    """
    wanted = {**document, **changes}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    kept, missing = [], {name for name, value in changes.items() if value is not None}
    for line in text.splitlines(keepends=True) if text else [HEADING]:
        name = _only_key(line)
        if name not in changes:
            kept.append(line)
        elif name in missing:
            missing.remove(name)
            kept.append(_line(name, wanted[name]))
    if kept and not kept[-1].endswith("\n"):
        kept.append("\n")
    changed = "".join(kept) + "".join(_line(name, wanted[name]) for name in sorted(missing))
    if _reads_as(changed, wanted):
        return changed
    return HEADING + "".join(_line(name, value) for name, value in wanted.items())


def _only_key(line: str) -> str | None:
    """The one key of a line that is whole by itself."""
    try:
        document = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    return next(iter(document)) if len(document) == 1 else None


def _reads_as(text: str, wanted: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _line(name: str, value: object) -> str:
    """Texts, whole numbers, booleans and lists of texts are written in JSON as in TOML, but for the
    one character that JSON lets stand (TOML 1.0, basic strings)."""
    return f"{name} = {orjson.dumps(value).decode()}\n".replace("\x7f", "\\u007f")
