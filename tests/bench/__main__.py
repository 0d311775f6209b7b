"""`make bench`: every benchmark in turn, or those that are named; at the end one table of all.

`python -m tests.bench [--quick] [NAME…]`. Each runs in a process of its own, within its own time
and within that of all together, and leaves no process behind.
"""

import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.bounded import run_bounded
from tests.bench.catalogue import ALL_WITHIN_S, BENCHMARKS
from tests.bench.figures import Figure, machine, table
from tests.bench.relay import nginx_version

QUICK = "--quick"


def main(words: Sequence[str]) -> int:
    """Run them. 2 for a name that is none, 1 when one of them did not come to its end."""
    names = [word for word in words if word != QUICK]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    figures: list[Figure] = []
    went_wrong = False
    over = time.monotonic() + ALL_WITHIN_S
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        found, wrong = _run(name, quick=QUICK in words, left_s=over - time.monotonic())
        figures += found
        if wrong is not None:
            went_wrong = True
            print(f"{name}: {wrong}", flush=True)
            figures.append(Figure(name, f"none: {wrong}"))
    quick = " (quick: they show that it runs, and nothing else)" if QUICK in words else ""
    print(f"\n{machine(nginx_version())}{quick}\n\n{table(figures)}")
    return int(went_wrong)


def _run(name: str, *, quick: bool, left_s: float) -> tuple[list[Figure], str | None]:
    """Its figures, and in words what went wrong."""
    if left_s <= 0:
        return [], f"no time left of {ALL_WITHIN_S:.0f} s"
    within_s = min(BENCHMARKS[name].within_s, round(left_s, 1))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        command = [sys.executable, "-m", "tests.bench.one", name, str(file)]
        wrong = run_bounded(
            [*command, QUICK] if quick else command, within_s=within_s, scratch=Path(folder)
        )
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Figure(**json.loads(line)) for line in lines], wrong


if __name__ == "__main__":
    # An exit, so that what runs is ended on the way out; being interrupted is one already.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
