"""The sources and guides that the settings name, for commands: by the ids that the bridge gives
them. Without a data directory that a bridge ever ran on, nothing is known by an id."""

import os
from pathlib import Path

from plexbridge.commands.options import settings_for
from plexbridge.data_dir import SOURCES_DIR
from plexbridge.installation import SECRETS_FILE, Installation, load_installation
from plexbridge.lineup.guide.in_force import guide_key
from plexbridge.lineup.source import Source, source_of
from plexbridge.lineup.source_files import SourceFiles
from plexbridge.settings import Settings


def configured_sources(directory: Path) -> list[Source]:
    """The preferred first; none where no bridge ever ran.

    Raises:
        SettingsInvalid, SecretsUnusable: in one line.
    """
    installation = _installation(directory)
    if installation is None:
        return []
    settings = settings_for(directory)
    return [source_of(text, installation.digest_key) for text in settings.playlist]


def configured_guides(directory: Path) -> list[str]:
    """Keys of the guides, the most trusted first; as the bridge finds them.

    Raises:
        SettingsInvalid, SecretsUnusable: in one line.
    """
    installation = _installation(directory)
    if installation is None:
        return []
    settings = settings_for(directory)
    places = settings.guide or _named(directory, settings, installation.digest_key)
    return [guide_key(place, installation.digest_key) for place in places]


def _named(directory: Path, settings: Settings, key: bytes) -> tuple[str, ...]:
    """Guides that the sources name."""
    files = SourceFiles(directory / SOURCES_DIR)
    facts = [files.load(source_of(text, key).id) for text in settings.playlist]
    return tuple(dict.fromkeys(url for one in facts if one for url in one.guide_urls))


def _installation(directory: Path) -> Installation | None:
    """The one that is there: a command that reads makes none."""
    if not (directory / SECRETS_FILE).exists():
        return None
    return load_installation(directory, os.urandom)
