"""Places in the code and tests, as the pages in `docs/` name them: whether they are there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TEST = re.compile(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`")
_PLACE = re.compile(r"`((?:events|projections|plexbridge)/[\w/.]+\.py)(?::(\w+))?`")


@cache
def _names(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def missing(text: str) -> list[str]:
    """What a page names and the tree does not have."""
    absent = []
    for path, name in [*_TEST.findall(text), *_PLACE.findall(text)]:
        if not (ROOT / path).is_file():
            absent.append(path)
        elif name and name not in _names(path):
            absent.append(f"{path} {name}")
    return absent


def rows(text: str, columns: int) -> list[list[str]]:
    """The rows of all tables with so many columns, heads left out."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == columns:
            found.append(cells)
    return found
