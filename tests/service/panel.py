"""A provider's panel on loopback: documents by path, an Xtream account, and what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit

import orjson

USER, SECRET = "ann", "hunter2"
QUERY = f"username={USER}&password={SECRET}"


class Panel:
    """`panel.gives("/list.m3u", b"…", etag='"1"')`."""

    def __init__(self) -> None:
        self.port = 0
        self.heads: list[str] = []
        self.answers: dict[str, bytes] = {}
        self._etags: dict[str, str] = {}
        self.hold: asyncio.Event | None = None
        """While it is there and not set, nothing is answered."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    @property
    def account(self) -> str:
        """As a person writes it down."""
        return f"xtream+http://{USER}:{SECRET}@{self.host}"

    def gives(
        self, path: str, body: bytes, *, status: str = "200 OK", etag: str = "", cut: int = 0
    ) -> str:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        if etag:
            head.append(f"ETag: {etag}")
        self._etags[path] = etag
        self.answers[path] = "\r\n".join([*head, "", ""]).encode() + body[: len(body) - cut]
        return self.url(path)

    def gives_account(self, channels: Iterable[Any], **user_info: Any) -> None:
        """An Xtream account with these streams, and plain but for the facts named."""
        info = {"auth": 1, "status": "Active", "max_connections": "1", "exp_date": None}
        self.gives_json("", {"user_info": {**info, **user_info}, "server_info": {}})
        categories = [{"category_id": "1", "category_name": "News", "parent_id": 0}]
        self.gives_json("&action=get_live_categories", categories)
        self.gives_json("&action=get_live_streams", list(channels))

    def gives_json(self, action: str, document: Any) -> None:
        self.gives(f"/player_api.php?{QUERY}{action}", orjson.dumps(document))

    def asked(self) -> list[str]:
        """Paths without queries, and an action where there is one."""
        targets = [urlsplit(head.split()[1]) for head in self.heads]
        return [
            one.path + (f":{one.query.partition('action=')[2]}" if "action=" in one.query else "")
            for one in targets
        ]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            path = head.split()[1]
            if self.hold is not None:
                await self.hold.wait()
            tag = self._etags.get(path)
            if tag and f"If-None-Match: {tag}" in head:
                writer.write(b"HTTP/1.1 304 Same\r\n\r\n")
            else:
                writer.write(
                    self.answers.get(path, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
                )
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def panel() -> AsyncIterator[Panel]:
    """One that listens."""
    made = Panel()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def stream(number: int, name: str, **more: Any) -> dict[str, Any]:
    """A live stream as a panel lists it."""
    return {
        "num": number,
        "name": name,
        "stream_type": "live",
        "stream_id": number + 100,
        "stream_icon": "",
        "epg_channel_id": f"{name}.x",
        "category_id": "1",
        "direct_source": "",
        **more,
    }


def playlist(*names: str, login: str = "u/p") -> bytes:
    """A list with a channel for each name."""
    rows = [
        f'#EXTINF:-1 tvg-id="{name}.x",{name}\nhttp://h/live/{login}/{name}\n' for name in names
    ]
    return ("#EXTM3U\n" + "".join(rows)).encode()
