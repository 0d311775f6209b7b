"""Other people's files among ours: each is known, licensed, and as it was published."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "plexbridge" / "web" / "static" / "vendor"
RECORD = "VENDORED.toml"


def packages() -> list[dict[str, Any]]:
    """What the record says is there."""
    found: list[dict[str, Any]] = tomllib.loads((FOLDER / RECORD).read_text())["package"]
    return found


def test_every_vendored_file_is_recorded_and_unchanged() -> None:
    """The files listed are the files present, byte for byte."""
    listed = {name: digest for one in packages() for name, digest in one["sha256"].items()}
    present = {path.name: path for path in FOLDER.iterdir() if path.name != RECORD}
    assert listed.keys() == present.keys()
    for name, path in present.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


def test_every_vendored_package_has_name_version_and_licence() -> None:
    """And the licence's text lies beside it."""
    for one in packages():
        assert all(one[field] for field in ("name", "version", "licence", "purpose"))
        assert f"{one['name']}.LICENSE" in one["sha256"]
    assert packages()
