"""Behind a reverse proxy: only one that a setting names is believed, on who, over what, where."""

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from plexbridge.settings import SettingsInvalid, load_settings
from plexbridge.web.access.forwarding import WAY, Forwarding, Way
from plexbridge.web.access.visit import HEADERS
from tests.end_to_end.running import RunningBridge, until
from tests.service.access_rig import (
    ELSEWHERE,
    HOME,
    LOOPBACK,
    PASSWORD,
    ask,
    ask_scope,
    house,
    scope_of,
)

PROXY = "10.0.0.2"
PROXIES = (ip_network("10.0.0.0/30"), ip_network("fd00::1/128"))


async def seen(
    peer: str | None, headers: dict[str, str], *, path: str = "/channels", base_path: str = ""
) -> dict[str, Any]:
    """The scope that the application gets of a request."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    wrapped = Forwarding(app, trusted_proxies=PROXIES, base_path=base_path)
    await ask_scope(wrapped, scope_of(peer, headers, path=path))
    return scopes[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client", "way"),
    [
        (HOME, None, HOME, Way.DIRECT),
        (HOME, ELSEWHERE, HOME, Way.UNKNOWN_PROXY),
        (LOOPBACK, ELSEWHERE, LOOPBACK, Way.UNKNOWN_PROXY),
        (None, ELSEWHERE, None, Way.UNKNOWN_PROXY),
        (PROXY, None, PROXY, Way.TRUSTED_PROXY),
        (PROXY, HOME, HOME, Way.TRUSTED_PROXY),
        ("::ffff:10.0.0.2", HOME, HOME, Way.TRUSTED_PROXY),
        (PROXY, "::ffff:192.168.1.9", HOME, Way.TRUSTED_PROXY),
        (PROXY, f"{LOOPBACK}, {HOME}", HOME, Way.TRUSTED_PROXY),
        (PROXY, f"{LOOPBACK},{HOME},10.0.0.1, fd00::1", HOME, Way.TRUSTED_PROXY),
        (PROXY, "10.0.0.1", "10.0.0.1", Way.TRUSTED_PROXY),
        (PROXY, f"{HOME}, unknown", None, Way.TRUSTED_PROXY),
        (PROXY, f"{HOME}, ", None, Way.TRUSTED_PROXY),
        (PROXY, f"{HOME}:80", None, Way.TRUSTED_PROXY),
    ],
)
async def test_who_asks(
    peer: str | None, forwarded: str | None, client: str | None, way: Way
) -> None:
    """The nearest address that is no proxy of ours; what a client wrote itself stands before it."""
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    scope = await seen(peer, headers)
    assert (scope["client"][0] if scope["client"] else None, scope[WAY]) == (client, way)


async def test_a_header_sent_twice_is_one_list() -> None:
    """RFC 9110, 5.2: a client cannot hide behind a line of its own."""
    scope = scope_of(PROXY, {})
    scope["headers"] = [(b"x-forwarded-for", LOOPBACK.encode()), (b"x-forwarded-for", b"8.8.8.8")]
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    await ask_scope(Forwarding(app, trusted_proxies=PROXIES), scope)
    assert scopes[0]["client"][0] == "8.8.8.8"


async def test_over_what_and_where() -> None:
    """A proxy's word on scheme and path; nobody else's, and nothing that is no path."""
    headers = {"x-forwarded-proto": "https", "x-forwarded-prefix": "/bridge/"}
    scope = await seen(PROXY, headers)
    assert (scope["scheme"], scope["root_path"]) == ("https", "/bridge")
    scope = await seen(HOME, headers)
    assert (scope["scheme"], scope["root_path"]) == ("http", "")
    for prefix in ("//evil.example", "bridge", "/a b", "/a/../b/..//", "/", '/"'):
        scope = await seen(PROXY, {"x-forwarded-prefix": prefix}, base_path="/own")
        assert scope["root_path"] == "/own", prefix
    scope = await seen(PROXY, {"x-forwarded-proto": "https, http"})
    assert scope["scheme"] == "http", "the last proxy's word is the last one"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "PLEXBRIDGE_BASE_PATH",
            ("/bridge", "/a/b-c/", "/~tv"),
            ("bridge", "/a//b", "/..", "/a?b"),
        ),
        (
            "PLEXBRIDGE_ALLOWED_HOSTS",
            (
                "tv.example",
                "TV.example:8443 [fd00::1]:80 nas",
            ),
            ("http://tv.example", "tv.example/x", "a@b", "tv:0", "tv:x", "*.example", "ä.example"),
        ),
        ("PLEXBRIDGE_TRUSTED_PROXIES", ("10.0.0.2", "172.16.0.0/12 ::1"), ("proxy", "10.0.0.2:80")),
        ("PLEXBRIDGE_ADMIN_PASSWORD", ("eight888", "пароль-пароль"), ("seven77", "x" * 257)),
    ],
)
def test_the_settings_of_the_door(
    tmp_path: Path, name: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    """What is accepted, and that a wrong password is not shown."""
    for text in good:
        assert load_settings({}, {"PLEXBRIDGE_DATA_DIR": str(tmp_path), name: text})
    for text in bad:
        with pytest.raises(SettingsInvalid, match=name) as said:
            load_settings({}, {"PLEXBRIDGE_DATA_DIR": str(tmp_path), name: text})
        assert "PASSWORD" not in name or text not in str(said.value)


async def test_players_are_told_apart_by_the_forwarded_address(tmp_path: Path) -> None:
    """Trusted networks, and who is on this machine, go by who asks; not by the proxy."""
    async with house(tmp_path, PLEXBRIDGE_TRUSTED_PROXIES="10.0.0.0/30 127.0.0.1") as made:
        for peer in (PROXY, LOOPBACK):
            for forwarded, status in ((HOME, 200), (ELSEWHERE, 403), ("unknown", 403)):
                headers = {"x-forwarded-for": forwarded}
                answer = await ask(made.app, "/discover.json", headers, peer=peer)
                assert answer.status == status, (peer, forwarded)
            for headers in ({}, {"x-forwarded-for": HOME}, {"x-forwarded-for": LOOPBACK}):
                answer = await ask(made.app, "/api/dashboard", headers, peer=peer)
                assert answer.document["error"] == "no_password_yet", (peer, headers)


@pytest.mark.parametrize("way", ["stripped", "kept", "a setting"])
async def test_everything_works_below_a_path(tmp_path: Path, way: str) -> None:
    """Whether the proxy takes its path off or not, and whether it says so or a setting does: links
    are relative, and the cookie is the path's alone."""
    environment = {"PLEXBRIDGE_TRUSTED_PROXIES": PROXY, "PLEXBRIDGE_ADMIN_PASSWORD": PASSWORD}
    proxied = {"x-forwarded-for": HOME, "x-forwarded-proto": "https", "host": "tv.local"}
    proxied["origin"] = "https://tv.local"
    if way == "a setting":
        environment["PLEXBRIDGE_BASE_PATH"] = "/tv/bridge/"
    else:
        proxied["x-forwarded-prefix"] = "/tv/bridge"
    before = "" if way == "stripped" else "/tv/bridge"
    async with house(tmp_path, **environment) as made:
        page = await ask(
            made.app, f"{before}/channels", {**proxied, "accept": "text/html"}, peer=PROXY
        )
        assert page.headers["location"] == "login?next=channels"
        deep = f"{before}/sessions/{'0' * 26}"
        page = await ask(made.app, deep, {**proxied, "accept": "text/html"}, peer=PROXY)
        assert page.headers["location"] == f"../login?next=sessions%2F{'0' * 26}"
        page = await ask(made.app, f"{before}/login", proxied, peer=PROXY)
        assert b'href="static/style.css"' in page.body
        answer = await ask(
            made.app,
            f"{before}/login",
            proxied,
            peer=PROXY,
            method="POST",
            send={"password": PASSWORD},
        )
        told = answer.headers["set-cookie"]
        assert "; Path=/tv/bridge;" in told
        assert "Secure" in told
        given = {**proxied, **answer.cookie}
        for path in ("/", "/channels", "/api/dashboard", "/static/now.js", "/lineup.json"):
            assert (await ask(made.app, before + path, given, peer=PROXY)).status == 200, path
        if before:
            bare = await ask(made.app, before, given, peer=PROXY)
            assert (bare.status, bare.headers["location"]) == (308, "/tv/bridge/")
            shown = {(name.encode(), text.encode()) for name, text in bare.headers.items()}
            assert set(HEADERS) <= shown


def test_the_log_has_the_forwarded_address(tmp_path: Path) -> None:
    """Of a player behind a proxy that a setting names; from there, this machine has no rights."""
    key = "a-key-of-the-right-length"
    environment = {"PLEXBRIDGE_TRUSTED_PROXIES": "127.0.0.1", "PLEXBRIDGE_ADMIN_KEY": key}
    with RunningBridge(tmp_path / "data", "--demo", **environment) as bridge:
        assert not bridge.answers("/api/dashboard")
        played = Request(f"{bridge.base}/auto/v1", headers={"X-Forwarded-For": HOME})
        with urlopen(played, timeout=10) as player:
            assert player.read(188)

            def addresses() -> list[str]:
                asked = Request(f"{bridge.base}/api/dashboard", headers={"X-Api-Key": key})
                with urlopen(asked, timeout=5) as answer:
                    return [one["client"]["address"] for one in json.load(answer)["sessions"]]

            until("it is told", lambda: addresses() == [HOME])
