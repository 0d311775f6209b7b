"""JSON answers and their errors, in one form."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

JSON = "application/json"


def json_answer(document: Any, status: int = 200, **headers: str) -> Response:
    """A document as JSON; never cached unless said otherwise."""
    fields = {"Cache-Control": "no-store", **headers}
    return Response(orjson.dumps(document), status, headers=fields, media_type=JSON)


class ApiError(Exception):
    """An answer with a status that means it: `{error, detail, …}`."""

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.document = {"error": error, "detail": detail, **more}
