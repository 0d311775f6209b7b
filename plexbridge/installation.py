"""What an installation is given once and keeps: its DeviceID, and the key of its URL digests.

Kept in `secrets.toml`, readable by its owner alone. Two installations with one DeviceID overwrite
each other in Plex, so it is random; without the key nobody finds a URL by trying digests.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plexbridge.device_id import is_device_id, with_check_digit
from plexbridge.private_file import write_private

SECRETS_FILE: Final = "secrets.toml"
DEVICE_PREFIX: Final = 0x1050_0000
"""An HDHomeRun CONNECT; some other prefixes mark legacy models, which clients treat differently."""
DIGEST_KEY_BYTES: Final = 32


class SecretsUnusable(Exception):
    """`secrets.toml` cannot be read, understood or written; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Identity of one data directory."""

    device_id: str
    digest_key: bytes


def load_installation(data_dir: Path, random_bytes: Callable[[int], bytes]) -> Installation:
    """Read it, or make and keep it at the first start. Blocks.

    Raises:
        SecretsUnusable: nothing was changed.
    """
    path = data_dir / SECRETS_FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return _make(path, random_bytes)
    except OSError as error:
        raise SecretsUnusable(f"{path} cannot be read: {error.strerror}") from error
    try:
        kept = tomllib.loads(text)["installation"]
        number = int(kept["device_id"], 16)
        key = bytes.fromhex(kept["digest_key"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SecretsUnusable(
            f"{path} is damaged: restore it from a backup, or move it away to get a new identity "
            "(Plex then sees a new tuner)"
        ) from error
    if not is_device_id(number) or not key:
        raise SecretsUnusable(f"{path} holds no valid device_id and digest_key")
    return Installation(f"{number:08X}", key)


def _make(path: Path, random_bytes: Callable[[int], bytes]) -> Installation:
    number = with_check_digit(DEVICE_PREFIX | int.from_bytes(random_bytes(2), "big") << 4)
    made = Installation(f"{number:08X}", random_bytes(DIGEST_KEY_BYTES))
    text = (
        "# Made at the first start. Keep it secret, and with the data directory.\n"
        "[installation]\n"
        f'device_id = "{made.device_id}"\n'
        f'digest_key = "{made.digest_key.hex()}"\n'
    )
    try:
        write_private(path, text)
    except OSError as error:
        raise SecretsUnusable(f"{path} cannot be written: {error.strerror}") from error
    return made
