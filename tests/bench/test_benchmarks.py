"""The benchmarks themselves: each is told of, the cheap ones run, and none outlives its time."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.bounded import run_bounded
from tests.bench.catalogue import ALL_WITHIN_S, BENCHMARKS
from tests.bench.figures import Figure, quantile, table
from tests.bench.programme import CELL, cell, film
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import PACKET_BYTES

ROOT = Path(__file__).parents[2]
CHEAP = ("activity", "folds", "log")
"""In a second or two each, and without other programs."""


@pytest.mark.parametrize("name", CHEAP)
def test_a_quick_benchmark_runs_and_shows_its_figures(name: str) -> None:
    """As a person runs it, with when and where, and one row at least."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^\d{4}-\d\d-\d\d: \d+ cores, Linux [0-9.]+, Python 3", ran.stdout, re.M)
    assert "| what | figure | target | ratio |\n|---|---|---|---|\n| " in ran.stdout


def test_an_unknown_name_is_an_error_that_says_what_there_is() -> None:
    """Exit code 2, nothing run."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench", "relays"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert all(name in ran.stdout for name in BENCHMARKS)


def test_what_takes_too_long_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    """Its children too, which would not notice that it is gone."""
    note = tmp_path / "child"
    forks = f"sleep 60 & echo $! >{note}; wait"
    begun = time.monotonic()
    assert run_bounded(["sh", "-c", forks], within_s=0.5) == "not done within 0.5 s"
    assert time.monotonic() - begun < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_what_ends_by_itself_leaves_nothing_behind(tmp_path: Path) -> None:
    """A failure is told with its code; an orphan is ended all the same."""
    note = tmp_path / "child"
    assert run_bounded(["sh", "-c", f"sleep 60 & echo $! >{note}; exit 3"], within_s=20) == (
        "ended with code 3"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_every_benchmark_is_explained() -> None:
    """`docs/benchmarks.md` has a part for each, and none for one that is not there."""
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `([a-z]+)`", page, re.M) == list(BENCHMARKS)


def test_the_page_needs_nothing_outside_the_repository() -> None:
    """No path of a machine, neither there nor in the benchmarks."""
    for path in [ROOT / "docs" / "benchmarks.md", *(ROOT / "tests" / "bench").glob("[!t]*.[pc]*")]:
        assert not re.search(r"/(work|home|root)/|\.\./shared", path.read_text(encoding="utf-8"))


def test_each_benchmark_ends_within_the_time_of_all() -> None:
    """The longest one leaves time for others."""
    assert max(each.within_s for each in BENCHMARKS.values()) <= ALL_WITHIN_S / 2


def test_the_programme_is_what_a_relay_expects() -> None:
    """Continuity and clock go on within a film, and over its end where the jump is marked."""
    whole = film(8_000_000)
    checker = TsChecker().feed(whole).feed(whole)
    assert checker.finish() == []
    assert len(whole) % (CELL * PACKET_BYTES) == 0
    assert TsChecker().feed(cell(1_000, 8_000_000)).feed(cell(1_001, 8_000_000)).finish() == []


def test_figures_are_shown_as_one_table() -> None:
    """A row for each."""
    shown = table([Figure("what", "1 ms", "2 ms", "0.5 ×")])
    assert shown.splitlines()[-1] == "| what | 1 ms | 2 ms | 0.5 × |"
    assert quantile(list(range(100)), 0.99) == 99
    assert quantile([7.0], 0.99) == 7.0
