"""The page of notifications: who is told of what, adding and removing them, and trying it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.notices.kinds import NAME_CHARS_MAX, TEST, Kind
from plexbridge.notices.targets import ADDRESS_CHARS_MAX
from plexbridge.web.access.roles import IDENTITY, Role
from plexbridge.web.notifications_api import NotificationsApi
from plexbridge.web.rendering import Templates
from plexbridge.web.verdicts import relative

WORDS = {
    Kind.SESSION_FAILED: "Session failed",
    Kind.TUNERS_BUSY: "All tuners busy",
    Kind.SOURCE_DOWN: "Source down",
    Kind.SOURCE_UP: "Source up again",
    Kind.GUIDE_STALE: "Guide stale",
    Kind.AUDIT_FINDING: "Audit finding",
}
"""Each kind as a label."""

Row = dict[str, Any]


class NotificationsPage:
    """The endpoint."""

    def __init__(self, bridge: Bridge, templates: Templates) -> None:
        self._bridge = bridge
        self._templates = templates
        self._api = NotificationsApi(bridge)

    async def page(self, request: Request) -> Response:
        """`/notifications`."""
        now = self._bridge.clock.now() // 1_000
        document = self._api.document()
        return self._templates.page(
            request,
            "notifications.html",
            told_at=now,
            targets=[_row(one, now) for one in document["targets"]],
            kinds=[{**one, "words": WORDS[one["kind"]]} for one in document["kinds"]],
            window_min=document["window_s"] // 60,
            problem=document["problem"],
            name_chars=NAME_CHARS_MAX,
            address_chars=ADDRESS_CHARS_MAX,
            may_change=request.scope[IDENTITY].role.may(Role.ADMIN),
        )


def _row(target: Row, now: int) -> Row:
    """A target's document as the page shows it."""
    last = target["last"]
    shown = target | {"title": target["name"] or target["address"]}
    if last is None:
        return shown | {"line": None}
    what = "a test" if last["kind"] == TEST else f"“{WORDS[Kind(last['kind'])]}”"
    tries = f", tried {last['attempts']} times" if last["attempts"] > 1 else ""
    return shown | {
        "line": {
            "ok": last["ok"],
            "at": last["at"],
            "when": relative(last["at"], now),
            "words": f"{what}{tries}: {last['words']}",
        }
    }
