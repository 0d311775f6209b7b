"""`make bench`: every benchmark in turn, or those that are named."""

import sys
from collections.abc import Callable
from typing import Final

from tests.bench import departures, folds, log_append

BENCHMARKS: Final[dict[str, Callable[[], None]]] = {
    "log": log_append.main,
    "folds": folds.main,
    "departures": departures.main,
}


def main(names: list[str]) -> int:
    """Run them; 2 for a name that is none."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
