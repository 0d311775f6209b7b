"""The house: what may import what, how pure the core is, how long things may be.

Reads the sources as syntax and runs none of them, but for one look at where two packages with
general names are imported from.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import events
import projections

ROOT = Path(__file__).parents[2]
PACKAGES = ("events", "projections", "plexbridge")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

ALLOWED = {
    "events": {"events"},
    "projections": {"events", "projections"},
    "plexbridge": {"events", "projections", "plexbridge"},
}
"""One direction: events ◀ projections ◀ plexbridge; and nothing imports tests."""

IMPURE = frozenset(
    {
        "aiohttp",
        "asyncio",
        "concurrent",
        "contextvars",
        "datetime",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "structlog",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "uuid",
    }
)
"""What waits, opens, listens or tells the time: the shell's. Time and ids come with commands."""

IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})

FILE_LINES_MAX = 400
"""One idea per module; a longer one has two."""

FUNCTION_LINES_MAX = 60
"""A function is seen whole on a screen."""

GRAB_BAGS = frozenset({"manager", "helper", "util", "common"})


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {path: ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in FILES}
MODULES = {name_of(path): path for path in FILES}


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, relative ones made absolute."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in MODULES else base


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a module, methods and nested ones included."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def each_file(*packages: str) -> pytest.MarkDecorator:
    """One test for every module of these packages."""
    chosen = [path for path in FILES if path.relative_to(ROOT).parts[0] in (packages or PACKAGES)]
    return pytest.mark.parametrize("path", chosen, ids=name_of)


@each_file()
def test_imports_point_one_way(path: Path) -> None:
    """events ◀ projections ◀ plexbridge; nothing imports tests."""
    package = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imports(path)} & {*PACKAGES, "tests"}
    assert ours <= ALLOWED[package]


@each_file("events", "projections")
def test_the_core_is_pure(path: Path) -> None:
    """No I/O, no clock, no asyncio, no randomness: data in, data out."""
    assert not {name.split(".")[0] for name in imports(path)} & IMPURE
    waiting = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    for node in ast.walk(TREES[path]):
        assert not isinstance(node, waiting), f"line {node.lineno} waits"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"line {node.lineno} calls {node.func.id}"


MEET = frozenset(
    {
        "plexbridge.control.effects",
    }
)
"""Where control and relay meet, inside the shell; the streaming response is the other place."""

CONTRACTS = frozenset({"plexbridge.relay.ports", "plexbridge.relay.policy"})
"""What a relay asks of its surroundings, in types only: no part of a relay that runs."""


@each_file("plexbridge")
def test_control_and_relay_do_not_import_each_other(path: Path) -> None:
    """They meet in `control/effects` and in the streaming response."""
    name = name_of(path)
    if name.startswith("plexbridge.relay"):
        assert not [found for found in imports(path) if found.startswith("plexbridge.control")]
    if name.startswith("plexbridge.control") and name not in MEET:
        met = {found for found in imports(path) if found.startswith("plexbridge.relay")}
        assert met <= CONTRACTS


@each_file()
def test_imports_stand_at_the_top(path: Path) -> None:
    """What a module needs is seen before it is read."""
    for function in functions(path):
        for node in ast.walk(function):
            assert not isinstance(node, ast.Import | ast.ImportFrom), f"line {node.lineno}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Every module can be read after those it imports."""
    waits = {
        name: {found for found in imports(path) if found in MODULES and found != name}
        for name, path in MODULES.items()
    }
    while ready := {name for name, needs in waits.items() if not needs & waits.keys()}:
        waits = {name: needs for name, needs in waits.items() if name not in ready}
    assert not waits, f"in or behind a circle: {sorted(waits)}"


@each_file()
def test_a_module_is_short(path: Path) -> None:
    """Size gathers where nobody named the idea."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES_MAX


@each_file()
def test_functions_are_short(path: Path) -> None:
    """Counted with signature and docstring."""
    long = {
        function.name: lines
        for function in functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert not long


@each_file()
def test_nothing_is_named_after_nothing(path: Path) -> None:
    """No module, package, class or function is called manager, helper, util or common."""
    named = [*path.relative_to(ROOT).with_suffix("").parts]
    named += [
        node.name
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for name in named:
        words = name.lower().replace("_", " ").split()
        assert not any(
            word.rstrip("s") in GRAB_BAGS or word.endswith(("manager", "helper", "utils"))
            for word in words
        ), name


@each_file()
def test_every_module_says_what_it_is(path: Path) -> None:
    """The docstring is where a reader begins; an `__init__` holds nothing else."""
    assert ast.get_docstring(TREES[path])
    if path.name == "__init__.py":
        assert len(TREES[path].body) == 1


@each_file()
def test_nothing_is_left_for_later(path: Path) -> None:
    """Work that is left is an issue, not a comment."""
    text = path.read_text(encoding="utf-8")
    assert not [word for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X") if word in text]


def test_every_package_directory_has_its_init() -> None:
    """A directory without one is found by luck of the path."""
    for path in FILES:
        assert (path.parent / "__init__.py") in FILES, path.parent


def test_general_names_are_imported_from_this_tree() -> None:
    """`events` and `projections` are also names of published packages."""
    assert Path(events.__file__ or "").parent == ROOT / "events"
    assert Path(projections.__file__ or "").parent == ROOT / "projections"


def test_the_house_is_not_empty() -> None:
    """A moved tree would pass every rule above."""
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(PACKAGES)
