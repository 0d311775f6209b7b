"""Other people's files among ours: each is known, licensed, and as it was published."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SERVED = ROOT / "plexbridge" / "web" / "static" / "vendor"
FOR_TESTS = ROOT / "tests" / "browser" / "vendor"
RECORD = "VENDORED.toml"

each_folder = pytest.mark.parametrize("folder", [SERVED, FOR_TESTS], ids=["served", "for tests"])


def packages(folder: Path) -> list[dict[str, Any]]:
    """What the record says is there."""
    found: list[dict[str, Any]] = tomllib.loads((folder / RECORD).read_text())["package"]
    return found


@each_folder
def test_every_vendored_file_is_recorded_and_unchanged(folder: Path) -> None:
    """The files listed are the files present, byte for byte."""
    listed = {name: digest for one in packages(folder) for name, digest in one["sha256"].items()}
    present = {path.name: path for path in folder.iterdir() if path.name != RECORD}
    assert listed.keys() == present.keys()
    for name, path in present.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


@each_folder
def test_every_vendored_package_has_name_version_and_licence(folder: Path) -> None:
    """And the licence's text lies beside it."""
    for one in packages(folder):
        assert all(one[field] for field in ("name", "version", "licence", "purpose"))
        assert f"{one['name']}.LICENSE" in one["sha256"]
    assert packages(folder)
