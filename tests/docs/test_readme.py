"""What the README shows of the code is what the code says."""

import re
from pathlib import Path

from events.machine import diagram

README = Path(__file__).parents[2] / "README.md"


def between(mark: str) -> str:
    """The part of the README between two marks."""
    found = re.search(rf"<!-- {mark}:begin -->(.*?)<!-- {mark}:end -->", README.read_text(), re.S)
    assert found is not None, f"the README has no part {mark}"
    return found[1].strip()


def test_the_diagram_is_drawn_from_the_machine() -> None:
    """A change of the machine shows in the README, or this fails."""
    assert between("diagram") == f"```mermaid\n{diagram().strip()}\n```"


def test_links_to_files_lead_somewhere() -> None:
    """Pictures and pages that the README names are in the repository."""
    named = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text())
    assert named, "the README names at least its picture"
    missing = [name for name in named if not (README.parent / name).exists()]
    assert not missing, f"the README names what is not there: {missing}"
