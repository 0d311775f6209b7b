"""One benchmark, in a process of its own: `python -m tests.bench.one NAME FILE [--quick]`.

Its figures go to FILE as JSON, one a line.
"""

import dataclasses
import json
import sys
from pathlib import Path

from tests.bench.catalogue import BENCHMARKS


def main(name: str, file: str, *options: str) -> None:
    """Measure, and write down what was found."""
    figures = BENCHMARKS[name].measure("--quick" in options)
    lines = (json.dumps(dataclasses.asdict(figure)) for figure in figures)
    Path(file).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
