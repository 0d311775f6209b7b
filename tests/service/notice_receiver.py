"""Whoever is told: an HTTP server on loopback that keeps what was posted and answers as it is told.

`receiver.answers` is played one per request, the last one for every later request; None: it never
answers.
"""

import asyncio
import json
from typing import Any, Self

from aiohttp import web

DEADLINE_S = 20.0


class Receiver:
    """`async with Receiver() as receiver: receiver.url("/hook")`."""

    def __init__(self, *answers: int | None) -> None:
        self.answers: list[int | None] = list(answers) or [200]
        self.headers: dict[str, str] = {}
        """Sent with every answer."""
        self.posts: list[tuple[str, dict[str, Any]]] = []
        """Path and document of each request, in order of arrival."""
        self.seen: list[dict[str, str]] = []
        """The headers of each request, by lower-case name."""
        self._came = asyncio.Condition()
        self._over = asyncio.Event()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        self.port = 0

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._take)
        return app

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    def url(self, path: str = "/hook", *, scheme: str = "http") -> str:
        """The address of a path."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.text()
        async with self._came:
            answer = self.answers[min(len(self.posts), len(self.answers) - 1)]
            self.posts.append((request.path, json.loads(body or "{}")))
            self.seen.append({name.lower(): text for name, text in request.headers.items()})
            self._came.notify_all()
        if answer is None:
            await self._over.wait()
            answer = 503
        return web.Response(status=answer, headers=self.headers)

    async def got(self, count: int) -> list[dict[str, Any]]:
        """The documents, once there are so many."""
        async with asyncio.timeout(DEADLINE_S), self._came:
            await self._came.wait_for(lambda: len(self.posts) >= count)
        return [document for _, document in self.posts]
