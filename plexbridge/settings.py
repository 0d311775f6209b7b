"""Reading the settings: at start, in layers; and what they would be with another file.

The layers, the later winning: defaults, `settings.toml` in the data directory, environment, command
line (DESIGN 8.4). Knows where values come from and how to say what is wrong with one; what the
settings are is `plexbridge.settings_model`. Nothing else in the code reads the environment.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from plexbridge.setting_kinds import Hint
from plexbridge.settings_file import SettingsFileUnusable, read_settings_file
from plexbridge.settings_model import SETTINGS, SETTINGS_FILE, Origin, Setting, Settings

__all__ = [
    "Origin",
    "Settings",
    "SettingsInvalid",
    "default_data_dir",
    "load_settings",
    "with_file",
    "with_values",
]

_SHOWN_CHARS: Final = 80
"""As much of a wrong value as fits a line; more tells nobody anything."""
_DATA_DIR: Final = "PLEXBRIDGE_DATA_DIR"


class SettingsInvalid(Exception):
    """A setting is not accepted, or unknown. One whole line for each, in `problems`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Given(NamedTuple):
    """The values of one layer, by field of `Settings`."""

    origin: Origin
    values: dict[str, object]


class _Layer(PydanticBaseSettingsSource):
    """One layer, in the form pydantic-settings merges."""

    def __init__(self, values: dict[str, object]) -> None:
        super().__init__(Settings)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one field; None when this layer has none."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Every value this layer has."""
        return dict(self._values)


def load_settings(cli: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Read every layer, check every value, remember where each came from.

    Blocks (reads a file): call it before the event loop runs.

    Args:
        cli: what the command line gave, by field of `Settings` (`port`, `playlist`, …); None and
            empty lists count as not given.
        environ: the environment. An empty value counts as not set.

    Raises:
        SettingsInvalid: with one line for every setting that is wrong or unknown.
    """
    command_line = _Given(Origin.COMMAND_LINE, _from_command_line(cli))
    environment = _Given(Origin.ENVIRONMENT, _from_environment(environ))
    default = _Given(Origin.DEFAULT, {"data_dir": default_data_dir(environ)})
    path = _data_dir(command_line, environment, default) / SETTINGS_FILE
    try:
        document = read_settings_file(path)
    except SettingsFileUnusable as unusable:
        raise SettingsInvalid(str(unusable)) from unusable
    return _merged((command_line, environment, _from_file(document, path), default))


def with_file(now: Settings, document: Mapping[str, object]) -> Settings:
    """What a start would come to with this in `settings.toml`, and all else as it was at this one.

    Raises:
        SettingsInvalid: with one line for every setting that is wrong or unknown; also for a value
            in the file that another layer wins over.
    """
    command_line, environment, _, default = now._layers
    file = _from_file(document, now.data_dir / SETTINGS_FILE)
    problems = []
    for name, value in document.items():
        setting = SETTINGS[name][1]
        try:
            setting.kind.read(value)
        except ValueError as wrong:
            problems.append(_problem(setting, Origin.FILE, value, wrong))
    if problems:
        raise SettingsInvalid(*problems)
    return _merged((command_line, environment, file, default))


def with_values(now: Settings, later: Settings, names: frozenset[str]) -> Settings:
    """The settings in force, but for the named ones, which are those of `later`."""
    fields = {SETTINGS[name][0]: name for name in names}
    changed = now.model_copy(update={field: getattr(later, field) for field in fields})
    changed._origins = MappingProxyType(
        {name: (later if name in names else now).origins[name] for name in now.origins}
    )
    changed._layers = now._layers
    return changed


def _merged(layers: "tuple[_Given, _Given, _Given, _Given]") -> Settings:
    """The first layer that has a value wins."""
    # The one way pydantic-settings offers to hand over sources that are built already.
    sources: dict[str, Any] = {
        "_build_sources": (tuple(_Layer(layer.values) for layer in layers), {})
    }
    try:
        settings = Settings(**sources)
    except ValidationError as invalid:
        raise SettingsInvalid(*_problems(invalid, layers)) from None
    settings._origins = MappingProxyType(dict(_origins(layers)))
    settings._layers = layers
    return settings


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where data is kept when nothing says otherwise: the XDG base directory of this user."""
    # A relative XDG_DATA_HOME is to be ignored (XDG base directory specification).
    xdg = Path(environ.get("XDG_DATA_HOME", ""))
    if xdg.is_absolute():
        return xdg / "plexbridge"
    home = environ.get("HOME") or "~"
    return (Path(home) / ".local" / "share" / "plexbridge").expanduser().absolute()


def _from_command_line(cli: Mapping[str, object]) -> dict[str, object]:
    assert cli.keys() <= Settings.model_fields.keys(), "the command line gave an unknown field"
    return {field: value for field, value in cli.items() if value not in (None, [], ())}


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    given = ((field, environ.get(name, "").strip()) for name, (field, _) in SETTINGS.items())
    return {field: text for field, text in given if text}


def _data_dir(*layers: _Given) -> Path:
    """The directory `settings.toml` is looked for in: the first layer that names one."""
    origin, value = next(
        (layer.origin, layer.values["data_dir"]) for layer in layers if "data_dir" in layer.values
    )
    setting = SETTINGS[_DATA_DIR][1]
    try:
        directory = setting.kind.read(value)
    except ValueError as wrong:
        raise SettingsInvalid(_problem(setting, origin, value, wrong)) from None
    assert isinstance(directory, Path), "a directory is read as a path"
    return directory


def _from_file(document: Mapping[str, object], path: Path) -> _Given:
    problems = [problem for name in document if (problem := _misplaced(name, path))]
    if problems:
        raise SettingsInvalid(*problems)
    return _Given(Origin.FILE, {SETTINGS[name][0]: value for name, value in document.items()})


def _misplaced(name: str, path: Path) -> str | None:
    if name not in SETTINGS:
        near = difflib.get_close_matches(name.upper(), SETTINGS, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"{path}: unknown setting {_cut(repr(name))}{meant}"
    if not SETTINGS[name][1].in_file:
        return f"{path}: {name} is not read from this file; set it in the environment"
    return None


def _origins(layers: tuple[_Given, ...]) -> Iterator[tuple[str, Origin]]:
    for name, (field, _) in SETTINGS.items():
        yield (
            name,
            next((given.origin for given in layers if field in given.values), Origin.DEFAULT),
        )


def _problems(invalid: ValidationError, layers: tuple[_Given, ...]) -> Iterator[str]:
    settings = dict(SETTINGS.values())
    wrong = {str(error["loc"][0]): error.get("ctx", {}).get("error") for error in invalid.errors()}
    for field, cause in wrong.items():
        origin, value = next(
            (given.origin, given.values[field]) for given in layers if field in given.values
        )
        yield _problem(settings[field], origin, value, cause)


def _problem(setting: Setting, origin: Origin, value: object, cause: object) -> str:
    shown = "its value" if setting.secret else _cut(repr(value))
    hint = f" ({cause})" if isinstance(cause, Hint) else ""
    accepts = setting.kind.accepts.replace("`", "")
    return f"{setting.name} ({origin}): {shown} is not accepted{hint}; it accepts {accepts}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
