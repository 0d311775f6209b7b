"""What commands print: aligned text on a pipe, a rich table on a terminal, JSON when asked.

Data goes to stdout, notes and progress to stderr. Texts that came from players and providers are
shown without control characters: they could drive the terminal.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from plexbridge.audit.reading import Progress as Advance

SHORT_ID_CHARS: Final = 8
"""40 random bits: enough to tell the sessions of a household apart."""


def printable(value: object) -> str:
    """As text for one line of a terminal; nothing for None."""
    if value is None:
        return ""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def line(text: str) -> None:
    """A line of data."""
    print(printable(text))


def note(text: str) -> None:
    """A line beside the data."""
    print(printable(text), file=sys.stderr)


def json_line(document: object) -> None:
    """A document on a line of its own."""
    sys.stdout.write(orjson.dumps(document).decode() + "\n")


def session_id(session: str) -> str:
    """A session's id: whole for a program, its random end for a person's narrow terminal. Commands
    take either."""
    return session[-SHORT_ID_CHARS:] if sys.stdout.isatty() else session


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their headings; a column that is empty in every row is left out."""
    cells = [[printable(value) for value in row] for row in rows]
    used = [n for n in range(len(columns)) if any(row[n] for row in cells)]
    heads = [columns[n] for n in used]
    body = [[row[n] for n in used] for row in cells]
    if sys.stdout.isatty():
        drawn = Table(box=None, header_style="bold", pad_edge=False)
        for head in heads:
            drawn.add_column(head, overflow="fold")
        for row in body:
            drawn.add_row(*map(Text, row))
        Console().print(drawn)
        return
    widths = [max(len(row[n]) for row in [heads, *body]) for n in range(len(heads))]
    for row in [heads, *body]:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[str], Advance]]:
    """Bars on stderr, where that is a terminal: call with a name to begin one of `total` events;
    None where nobody knows yet."""
    if not sys.stderr.isatty():
        yield lambda name: lambda position: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def begin(name: str) -> Advance:
            task = bars.add_task(name, total=total)
            return lambda position: bars.update(task, completed=position)

        yield begin


def pick(document: Mapping[str, Any], *path: str) -> Any:
    """A value inside a document; None where any part of the path is missing."""
    value: Any = document
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
