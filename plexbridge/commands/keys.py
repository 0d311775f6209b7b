"""Waiting for a person: a key at a terminal, a line where there is none.

Knows terminals; nothing of what the keys mean. Blocks.
"""

import os
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

KEY_BYTES_MAX: Final = 32
"""An arrow key is three bytes; what was typed ahead counts as one press."""

Key = Callable[[], str]
"""The next key, or line without its end; empty when there are no more."""


@contextmanager
def pressed(stream: TextIO) -> Iterator[Key]:
    """Keys one by one, without Enter; the terminal is as before when the block ends. Ctrl-C goes on
    to interrupt, as everywhere."""
    if not stream.isatty():
        yield lambda: _line(stream)
        return
    descriptor = stream.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda: os.read(descriptor, KEY_BYTES_MAX).decode("utf-8", "replace")
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _line(stream: TextIO) -> str:
    line = stream.readline()
    return line.rstrip("\n") or "\n" if line else ""
