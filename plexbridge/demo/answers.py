"""HTTP/1.1 as the pretend provider speaks it: one request, one answer, the connection ends it.

Knows how a request head is read and how an answer's head is written. Refuses to know sockets and
what is offered.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

HEAD_LIMIT_BYTES = 8_192
"""Players send a few hundred bytes; whoever sends more is not one."""


class Request(NamedTuple):
    """What was asked for."""

    method: str
    path: str
    """Without query."""
    query: str = ""


class RequestRefused(Exception):
    """A request that cannot be answered, with the status that says so."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(f"{status.value} {status.phrase}")
        self.status = status


def read_request(head: bytes) -> Request | None:
    """The request at the beginning of `head`; None while its blank line has not come.

    Raises:
        RequestRefused: too long, not HTTP/1.x, or a method other than GET and HEAD.
    """
    if b"\r\n\r\n" not in head:
        if len(head) > HEAD_LIMIT_BYTES:
            raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return None
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise RequestRefused(HTTPStatus.BAD_REQUEST)
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        raise RequestRefused(HTTPStatus.METHOD_NOT_ALLOWED)
    path, _, query = target.partition("?")
    return Request(method, path, query)


def answer_head(status: HTTPStatus, fields: Mapping[str, str]) -> bytes:
    """Status line and fields; the body, if any, ends with the connection."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Connection: close"]
    lines.extend(f"{name}: {value}" for name, value in fields.items())
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
