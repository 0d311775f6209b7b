"""The head of a response that we write ourselves."""

import http
import re
from collections.abc import Iterable, Sequence

Headers = Sequence[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class InvalidHeader(ValueError):
    """A header that would break the head: a name that is no token, a control character, a
    character beyond Latin-1."""

    def __init__(self, name: str) -> None:
        super().__init__(f"header {name!r} cannot be sent")
        self.name = name


def response_head(status: int, headers: Headers, defaults: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Status line and headers, the `defaults` not named in `headers` first, and `Connection: close`
    (the only framing we write ourselves ends with the connection).

    Raises:
        InvalidHeader: nothing may be smuggled in by a channel's name.
    """
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidHeader(name)
    named = {name.lower() for name, _ in headers}
    assert "transfer-encoding" not in named, "our own responses are never chunked"
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}".encode("ascii")]
    lines += [
        name + b": " + value for name, value in defaults if name.lower().decode() not in named
    ]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    if "connection" not in named:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b""])
