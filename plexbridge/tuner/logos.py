"""`/logos/{digest}` over HTTP: a picture, and nothing a browser could take for anything else."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.logos.proxy import Logos, LogosBusy

RETRY_AFTER_S: Final = "5"

_PICTURE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "public, max-age=86400",
    "Access-Control-Allow-Origin": "*",
}
_NONE: Final = {"Cache-Control": "public, max-age=300"}


def logo_endpoint(logos: Logos | None) -> Callable[[Request], Awaitable[Response]]:
    """`GET|HEAD /logos/{digest}`. None: there are none."""

    async def answer(request: Request) -> Response:
        try:
            logo = None if logos is None else await logos.get(request.path_params["digest"])
        except LogosBusy:
            headers = {"Retry-After": RETRY_AFTER_S}
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
        if logo is None:
            return Response(status_code=HTTPStatus.NOT_FOUND, headers=_NONE)
        headers = {**_PICTURE, "ETag": logo.etag}
        if logo.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(logo.body, media_type=logo.media_type, headers=headers)

    return answer
