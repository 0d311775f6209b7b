"""The entrance: the one-time link, the password, sessions, and how often one may try."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from plexbridge.clock import ManualClock
from plexbridge.web.access import visit
from plexbridge.web.access.credentials import ADMIN_KEY, LOCAL, MACHINE
from plexbridge.web.access.limits import ADDRESSES_REMEMBERED, LoginLimits
from plexbridge.web.access.logins import (
    IDLE_MS_MAX,
    LOGIN_FILE,
    SEEN_EVERY_MS,
    SESSIONS_MAX,
    Logins,
    LoginUnusable,
)
from plexbridge.web.access.roles import Identity, Means, Role
from plexbridge.web.access.setup_code import VALID_S, SetupCode
from tests.service.access_rig import (
    ELSEWHERE,
    HOME,
    LOOPBACK,
    OWN,
    PASSWORD,
    Answer,
    House,
    ask,
    house,
    scope_of,
)

NEW = "another one that is long"


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[House]:
    """The first start."""
    async with house(tmp_path) as made:
        yield made


async def post(made: House, path: str, send: Any, *, peer: str = HOME, **headers: str) -> Answer:
    return await ask(made.app, path, headers, peer=peer, method="POST", send=send)


async def log_in(made: House, password: str = PASSWORD, *, peer: str = HOME) -> Answer:
    return await post(made, "/login", {"password": password}, peer=peer)


async def reads(made: House, headers: dict[str, str], *, peer: str = HOME) -> bool:
    answer = await ask(made.app, "/api/dashboard", headers, peer=peer)
    assert answer.status in (200, 401)
    return answer.status == 200


async def test_the_link_sets_the_password_once(fresh: House) -> None:
    """It opens the door for the one who used it, and shuts it for all others, this machine too."""
    code = fresh.credentials.new_link_code()
    shown = await ask(fresh.app, f"/setup?code={code}", peer=HOME)
    assert b'id="form"' in shown.body, "looking at it uses nothing up"
    assert await reads(fresh, {}, peer=LOOPBACK)
    answer = await post(fresh, "/setup", {"code": code, "password": PASSWORD})
    assert answer.status == 200
    assert await reads(fresh, answer.cookie)
    assert not await reads(fresh, {}, peer=LOOPBACK)
    again = await post(fresh, "/setup", {"code": code, "password": NEW})
    assert (again.status, again.document["error"]) == (403, "link_over")
    assert b'id="form"' not in (await ask(fresh.app, f"/setup?code={code}", peer=HOME)).body
    assert (await log_in(fresh)).status == 200


async def test_without_the_link_nobody_else_sets_it(fresh: House) -> None:
    """Not by a wrong code, an old one, none; this machine needs none, until there is a password."""
    old = fresh.credentials.new_link_code()
    fresh.credentials.new_link_code()
    for code in ("", "x", old):
        answer = await post(fresh, "/setup", {"code": code, "password": PASSWORD})
        assert answer.status == 403, code
    proxied = await post(fresh, "/setup", {"password": PASSWORD}, peer=LOOPBACK, forwarded="for=x")
    assert proxied.status == 403
    assert (await log_in(fresh)).document["error"] == "no_password_yet"
    here = await post(fresh, "/setup", {"password": PASSWORD}, peer=LOOPBACK)
    assert here.status == 200
    assert (await post(fresh, "/setup", {"password": NEW}, peer=LOOPBACK)).status == 403


@pytest.mark.parametrize("unfit", ["", "seven77", "x" * 257, "with\nline end"])
async def test_an_unfit_password_is_told_so_and_costs_no_link(fresh: House, unfit: str) -> None:
    """The next step is in the words."""
    code = fresh.credentials.new_link_code()
    answer = await post(fresh, "/setup", {"code": code, "password": unfit})
    assert answer.status == 422
    assert answer.document["detail"].startswith("Choose a ")
    assert (await post(fresh, "/setup", {"code": code, "password": PASSWORD})).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"password": 5}', 400),
        (b'{"password": null}', 400),
        (b'{"password": "\\ud800"}', 400),
        (b'{"password": "' + b"x" * 5_000 + b'"}', 413),
    ],
)
async def test_nonsense_is_no_try(fresh: House, body: bytes, status: int) -> None:
    """And no server error."""
    await fresh.credentials.set_password(PASSWORD)
    headers = {"content-type": "application/json", "content-length": "2", **OWN}
    answer = Answer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answer.status = message.get("status", answer.status)

    await fresh.app(scope_of(HOME, headers, path="/login", method="POST"), receive, send)
    assert answer.status == status
    assert len(fresh.credentials.limits) == 0


async def test_the_session_s_cookie(fresh: House) -> None:
    """No script reads it, no other site sends it; what is kept is not it."""
    await fresh.credentials.set_password(PASSWORD)
    answer = await log_in(fresh)
    told = answer.headers["set-cookie"]
    assert "HttpOnly" in told
    assert "SameSite=strict" in told
    assert "Path=/;" in told
    assert "Secure" not in told, "over plain HTTP a browser would drop it"
    token = answer.cookie["cookie"].partition("=")[2]
    assert len(token) >= 43
    path = fresh.bridge.settings.data_dir / LOGIN_FILE
    kept = path.read_text()
    assert token not in kept
    assert PASSWORD not in kept
    assert "$argon2id$" in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_session_survives_a_restart_and_ends_with_its_logout(tmp_path: Path) -> None:
    """Of one browser; the others stay."""
    async with house(tmp_path) as made:
        await made.credentials.set_password(PASSWORD)
        one, other = await log_in(made), await log_in(made)
    async with house(tmp_path) as made:
        assert await reads(made, one.cookie)
        state = await ask(made.app, "/access", one.cookie, peer=HOME)
        assert state.document == {"logged_in": True, "role": "admin", "password_set": True}
        out = await post(made, "/logout", None, **one.cookie)
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert not await reads(made, one.cookie)
        assert await reads(made, other.cookie)
        assert not (await ask(made.app, "/access", one.cookie)).document["logged_in"]
    async with house(tmp_path) as made:
        assert not await reads(made, one.cookie)


async def test_a_new_password_ends_all_sessions(fresh: House) -> None:
    """But the one of who set it; the old password opens nothing any more."""
    await fresh.credentials.set_password(PASSWORD)
    mine, other = await log_in(fresh), await log_in(fresh)
    wrong = await post(
        fresh, "/api/access/password", {"current": "x", "password": NEW}, **mine.cookie
    )
    assert wrong.status == 401
    body = {"current": PASSWORD, "password": NEW}
    changed = await post(fresh, "/api/access/password", body, **mine.cookie)
    assert changed.status == 200
    assert await reads(fresh, changed.cookie)
    assert not await reads(fresh, mine.cookie)
    assert not await reads(fresh, other.cookie)
    assert (await log_in(fresh)).status == 401
    assert (await log_in(fresh, NEW)).status == 200


async def test_the_environment_s_password(tmp_path: Path) -> None:
    """Sets it, changes it and ends its sessions; no page changes it."""
    async with house(tmp_path, PLEXBRIDGE_ADMIN_PASSWORD=PASSWORD) as made:
        session = await log_in(made)
        body = {"current": PASSWORD, "password": NEW}
        refused = await post(made, "/api/access/password", body, **session.cookie)
        assert refused.document["error"] == "set_elsewhere"
        assert (await post(made, "/setup", {"password": NEW})).status == 409
    async with house(tmp_path, PLEXBRIDGE_ADMIN_PASSWORD=PASSWORD) as made:
        assert await reads(made, session.cookie), "the same password again changes nothing"
    async with house(tmp_path, PLEXBRIDGE_ADMIN_PASSWORD=NEW) as made:
        assert not await reads(made, session.cookie)
        assert (await log_in(made, NEW)).status == 200
    async with house(tmp_path) as made:
        assert (await log_in(made, NEW)).status == 200, "it stays when the setting goes"


async def test_five_wrong_tries_and_then_a_pause(fresh: House) -> None:
    """Told with `Retry-After`; others are not held up, and who knew it is forgiven the slips."""
    await fresh.credentials.set_password(PASSWORD)
    for _ in range(5):
        assert (await log_in(fresh, "wrong")).status == 401
    held = await log_in(fresh)
    assert held.status == 429, "the right one too"
    assert 1 <= int(held.headers["retry-after"]) <= 12
    assert held.headers["retry-after"] in held.document["detail"]
    assert (await log_in(fresh, peer="192.168.1.10")).status == 200
    body = {"current": "wrong", "password": NEW}
    other = await log_in(fresh, peer="192.168.1.11")
    assert (await post(fresh, "/api/access/password", body, **other.cookie)).status == 429
    for _ in range(4):
        assert (await log_in(fresh, "wrong", peer=LOOPBACK)).status == 401
    assert (await log_in(fresh, peer=LOOPBACK)).status == 200
    assert (await log_in(fresh, "wrong", peer=LOOPBACK)).status == 401


def test_tries_come_back_with_time() -> None:
    """Five at once, then one in twelve seconds."""
    clock = ManualClock()
    limits = LoginLimits(clock.monotonic)
    assert [limits.try_in_s(HOME) for _ in range(6)] == [0, 0, 0, 0, 0, 12]
    clock.advance(11.5)
    assert limits.try_in_s(HOME) == 1
    clock.advance(0.5)
    assert limits.try_in_s(HOME) == 0
    assert limits.try_in_s(HOME) == 12


def test_all_addresses_together_are_limited_too() -> None:
    """Whoever has many addresses has thirty tries a minute; a network of IPv6 is one address."""
    limits = LoginLimits(ManualClock().monotonic)
    tries = [limits.try_in_s(f"10.0.{n}.1") for n in range(31)]
    assert tries == [0] * 30 + [2]
    limits = LoginLimits(ManualClock().monotonic)
    assert [limits.try_in_s(f"2001:db8::{n}") for n in range(6)] == [0] * 5 + [12]
    assert limits.try_in_s("2001:db8:0:1::1") == 0
    assert limits.try_in_s("::1") == 0


def test_addresses_remembered_are_bounded() -> None:
    """The one that tried longest ago is forgotten."""
    limits = LoginLimits(ManualClock().monotonic)
    for n in range(ADDRESSES_REMEMBERED + 50):
        limits.try_in_s(f"10.{n // 65_536}.{n // 256 % 256}.{n % 256}")
    assert len(limits) == ADDRESSES_REMEMBERED


def test_a_code_is_over_in_time() -> None:
    """Fifteen minutes; and when it was used, or a newer one was made."""
    clock = ManualClock()
    code = SetupCode(clock.monotonic)
    assert not code.fits("")
    made = code.make(lambda count: b"a" * count)
    clock.advance(VALID_S - 1)
    assert code.fits(made)
    clock.advance(1)
    assert not code.fits(made)
    first, second = code.make(lambda count: b"b" * count), code.make(lambda count: b"c" * count)
    assert (code.fits(first), code.fits(second)) == (False, True)
    code.end()
    assert not code.fits(second)


async def test_a_session_ends_when_it_was_not_seen_for_thirty_days(tmp_path: Path) -> None:
    """Every use counts anew, to the hour."""
    clock = ManualClock()
    logins = Logins(tmp_path, lambda: clock.now() // 1_000)
    await logins.begin("digest", Role.VIEWER)
    clock.advance(SEEN_EVERY_MS / 1_000)
    await logins.seen("digest")
    clock.advance(IDLE_MS_MAX / 1_000)
    found = logins.find("digest")
    assert found is not None
    assert found.role is Role.VIEWER
    clock.advance(0.001)
    assert logins.find("digest") is None
    await logins.begin("another", Role.ADMIN)
    assert set(json.loads((tmp_path / LOGIN_FILE).read_text())["sessions"]) == {"another"}


async def test_sessions_are_bounded(tmp_path: Path) -> None:
    """The one unseen for the longest ends."""
    clock = ManualClock()
    logins = Logins(tmp_path, lambda: clock.now() // 1_000)
    for n in range(SESSIONS_MAX + 1):
        await logins.begin(str(n), Role.ADMIN)
        clock.advance(1)
    kept = [n for n in range(SESSIONS_MAX + 1) if logins.find(str(n))]
    assert kept == [*range(1, SESSIONS_MAX + 1)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"password": null}', "\x00" * 2_000_000])
def test_a_damaged_file_opens_nothing(tmp_path: Path, text: str) -> None:
    """It stops the start: as if there were no password would be the door wide open."""
    (tmp_path / LOGIN_FILE).write_text(text)
    with pytest.raises(LoginUnusable, match="is damaged: move it away"):
        Logins(tmp_path, lambda: 0)


async def test_a_password_that_cannot_be_kept_is_not_set(fresh: House) -> None:
    """A full disk: the link stays good, and the door as it was."""
    directory = fresh.bridge.settings.data_dir
    (directory / f"{LOGIN_FILE}.new").mkdir()
    code = fresh.credentials.new_link_code()
    answer = await post(fresh, "/setup", {"code": code, "password": PASSWORD})
    assert (answer.status, answer.document["error"]) == (507, "not_kept")
    assert not fresh.credentials.locked
    (directory / f"{LOGIN_FILE}.new").rmdir()
    assert (await post(fresh, "/setup", {"code": code, "password": PASSWORD})).status == 200


async def test_only_this_machine_gets_a_new_link(fresh: House) -> None:
    """By the key in the data directory, or while no password is set; not by a session or a key."""
    first = await post(fresh, "/api/access/link", None, peer=LOOPBACK)
    code = first.document["path"].partition("code=")[2]
    session = await post(fresh, "/setup", {"code": code, "password": PASSWORD})
    refused = await post(fresh, "/api/access/link", None, **session.cookie)
    assert (refused.status, refused.document["error"]) == (403, "not_here")
    assert (await post(fresh, "/api/access/link", None, peer=LOOPBACK)).status == 401
    key = (fresh.bridge.settings.data_dir / "local.key").read_text().strip()
    second = await post(fresh, "/api/access/link", None, peer=LOOPBACK, **{"x-api-key": key})
    code = second.document["path"].partition("code=")[2]
    assert (await post(fresh, "/setup", {"code": code, "password": NEW})).status == 200
    assert not await reads(fresh, session.cookie)


@pytest.mark.parametrize("kind", ["GET", "WS"])
async def test_a_feed_ends_with_its_session(
    fresh: House, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server-sent events end; a WebSocket is closed, and told why."""
    monkeypatch.setattr(visit, "STILL_EVERY_S", 0.02)
    await fresh.credentials.set_password(PASSWORD)
    session = await log_in(fresh)
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asked = iter([{"type": "websocket.connect"}] if kind == "WS" else [])

    async def receive() -> dict[str, Any]:
        for message in asked:
            return message
        return await asyncio.Event().wait() and {}

    path = "/ws?rooms=metrics" if kind == "WS" else "/api/live"
    scope = scope_of(HOME, {**OWN, **session.cookie}, path=path, method=kind)
    async with asyncio.timeout(10):
        feed = asyncio.create_task(fresh.app(scope, receive, sent.put))
        await sent.get()
        await sent.get()
        assert not feed.done()
        await post(fresh, "/logout", None, **session.cookie)
        await feed
    last = [sent.get_nowait() for _ in range(sent.qsize())]
    if kind == "WS":
        assert (last[-1]["type"], last[-1]["code"]) == ("websocket.close", 4401)
    else:
        assert fresh.bridge.feed.subscribers == 0


async def test_what_let_in_a_feed_is_asked_about_anew(fresh: House) -> None:
    """Being on this machine is enough until there is a password; a session until it ends. What a
    setting or the start gave is good as long as we run."""
    still = fresh.credentials.still
    assert await still(MACHINE)
    token = await fresh.credentials.set_password(PASSWORD)
    assert not await still(MACHINE)
    session = await fresh.credentials.by_session(token)
    assert session is not None
    assert await still(session)
    await fresh.credentials.log_out(token)
    assert not await still(session)
    assert await still(LOCAL)
    assert await still(ADMIN_KEY)
    assert not await still(Identity(Role.VIEWER, Means.KEY, "of a key that was revoked"))


async def test_elsewhere_nobody_may_even_try(fresh: House) -> None:
    """The entrance is for trusted networks, a session from there goes on anywhere."""
    await fresh.credentials.set_password(PASSWORD)
    assert (await log_in(fresh, peer=ELSEWHERE)).status == 403
    session = await log_in(fresh)
    assert await reads(fresh, session.cookie, peer=ELSEWHERE)
