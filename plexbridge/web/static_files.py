"""The files that pages load: ours, and other people's beside them. Read once, packed once.

Knows files by name alone; whatever has none of the types below (licences, records) is not served.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
VENDORED: Final = "vendor"
"""The folder of other people's files; see its record."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    body: bytes
    packed: bytes
    """The body in gzip."""
    media_type: str
    tag: str
    """Weak, for it stands for both forms."""


def static_files() -> Mapping[str, StaticFile]:
    """Every file that is served, by its name."""
    folder: Traversable = files("plexbridge.web") / "static"
    found: dict[str, StaticFile] = {}
    for file in (*folder.iterdir(), *(folder / VENDORED).iterdir()):
        suffix = file.name[file.name.rfind(".") :]
        if suffix in TYPES:
            assert file.name not in found, "a name is served once"
            body = file.read_bytes()
            tag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[file.name] = StaticFile(body, gzip.compress(body, mtime=0), TYPES[suffix], tag)
    return found
