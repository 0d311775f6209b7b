"""Texts of strangers made fit to be shown: in a player's list, a log line, a terminal, a page.

Escaping is the business of whoever writes HTML or XML; here only what no name ever needs is gone.
"""

import re

_UNWANTED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: line breaks, terminal escapes
    "\u2028\u2029"  # line and paragraph separators
    "\u202a-\u202e\u2066-\u2069"  # direction overrides: they reorder what stands around the name
    "\ufeff\ufffe\uffff"
    "\ud800-\udfff"  # halves of a surrogate pair: not encodable
    "]+"
)


def clean(text: str, chars_max: int) -> str:
    """`text` in one line: unwanted characters become blanks, runs of blanks one, ends are cut."""
    if text.isprintable() and "  " not in text:  # nearly all are: a list has 1,000,000 of them
        text = text.strip()
        return text if len(text) <= chars_max else text[:chars_max].rstrip()
    return " ".join(_UNWANTED.sub(" ", text).split())[:chars_max].rstrip()
