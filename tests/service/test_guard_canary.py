"""Credentials that sing: everything is done once, and then nothing that was told holds one."""

import asyncio
import contextlib
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.end_to_end.running import RunningBridge, until
from tests.service.provider_stub import (
    Connection,
    ProviderStub,
    endless,
    hangs_before_headers,
    stalls_after,
)
from tests.service.ts_maker import TsMaker

USER, PASSWORD, TOKEN = "canary-user-4711", "canary-pass-4712", "canary-token-4713"
ADMIN_KEY, DOOR = "canary-admin-key-4714", "canary-door-password-4715"
HOOK, SERVICE = "canary-webhook-4718", "canary-service-4719"
WRONG_KEY, WRONG_DOOR = "canary-wrong-key-4716", "canary-wrong-password-4717"
BROKEN_AFTER = 188_000
KEEPS_THEM = {"local.key", "lineup.db", "lineup.db-wal", "lineup.db-shm"}
"""Where they live, readable by the owner alone."""

Told = dict[str, bytes]


def playlist(stub: ProviderStub) -> str:
    """Channels whose addresses hold a login in every place that one can stand."""
    at = f"127.0.0.1:{stub.port}"
    stub.on(f"rtsp://{at}/4?token={TOKEN}", hangs_before_headers)
    addresses = (
        stub.on(f"/live/{USER}/{PASSWORD}/1.ts", endless(bits_per_s=2e6)),
        stub.on(f"/2.ts?token={TOKEN}", stalls_after(TsMaker().chunk(BROKEN_AFTER))),
        f"http://{USER}:{PASSWORD}@{at}/missing/3.ts?password={PASSWORD}",
        f"rtsp://{USER}:{PASSWORD}@{at}/4?token={TOKEN}",
        f"http://{USER}:{PASSWORD}@127.0.0.1:1/5.m3u8?token={TOKEN}",
    )
    lines = [
        f'#EXTINF:-1 tvg-chno="{number}" http-user-agent="{TOKEN}",Channel {number}\n{address}'
        for number, address in enumerate(addresses, 1)
    ]
    return "\n".join(["#EXTM3U", *lines, ""])


class Person:
    """Asks the bridge as a browser, a program or a player."""

    def __init__(self, bridge: RunningBridge) -> None:
        parts = urlsplit(bridge.base)
        self._address = (str(parts.hostname), parts.port)
        self.cookie = ""
        self.told: Told = {}
        """Whatever was answered, by what was asked."""

    def ask(self, method: str, path: str, send: Any = None, **headers: str) -> tuple[int, bytes]:
        """One request, read to its end."""
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        more = {"Cookie": self.cookie, **headers} if self.cookie else headers
        body = None if send is None else json.dumps(send)
        if body is not None:
            more = {**more, "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, path, body, more)
            answer = connection.getresponse()
            told = answer.read()
            given = [text for name, text in answer.getheaders() if name.lower() == "set-cookie"]
            if given:
                self.cookie = given[0].partition(";")[0]
            heads = repr([pair for pair in answer.getheaders() if pair[0].lower() != "set-cookie"])
            self.told[f"{method} {path} {len(self.told)}"] = told + heads.encode()
            return answer.status, told

    @contextlib.contextmanager
    def watching(self, number: str) -> Iterator[int]:
        """A channel, as long as the block lasts; the status it was answered with."""
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/auto/v{number}")
            answer = connection.getresponse()
            if answer.status == 200:
                answer.read(10_000)
            yield answer.status


def everything_once(bridge: RunningBridge) -> tuple[Told, set[str]]:
    """What was told, and the credentials that came into being on the way."""
    person = Person(bridge)
    code = str(re.search(r"code=(\S+)", bridge.output)[1])  # type: ignore[index]
    assert person.ask("POST", "/setup", {"code": code, "password": DOOR})[0] == 200
    assert person.ask("POST", "/setup", {"code": code, "password": DOOR})[0] == 403
    with person.watching("1") as status, person.watching("2") as refused:
        assert (status, refused) == (200, 503)
    for number in ("2", "3", "4", "5", "99"):
        with person.watching(number) as status:
            assert status in (200, 404, 503), number
            if number == "2":
                until("it is in trouble", lambda: b"recovering" in person.ask("GET", "/")[1])
    first_cookie = person.cookie
    assert person.ask("POST", "/login", {"password": WRONG_DOOR})[0] == 401
    assert person.ask("POST", "/login", {"password": DOOR})[0] == 200
    key = bridge.command("key", "create", "--name", "a", "--role", "viewer").stdout.strip()
    for given, answered in ((ADMIN_KEY, 200), (WRONG_KEY, 401)):
        assert person.ask("GET", "/api/log/head", **{"X-Api-Key": given})[0] == answered
    until("the key is seen", lambda: person.ask("GET", "/channels", **{"X-Api-Key": key})[0] == 200)
    _tell_people(person)
    told = _read_all(person)
    port = ("--port", bridge.base.rpartition(":")[2])
    for words in (
        *(("key", "ls"), ("key", "revoke", "a"), ("events", "tail"), ("events", "export")),
        *(("sessions", "ls"), ("doctor",), ("at", "now"), ("sessions", "stop", "--all", *port)),
    ):
        ran = bridge.command(*words)
        told[" ".join(words)] = (ran.stdout + ran.stderr).encode()
    local_key = (bridge.data_dir / "local.key").read_text().strip()
    cookies = {cookie.partition("=")[2] for cookie in (first_cookie, person.cookie)}
    return {**person.told, **told}, {code, key, local_key, *cookies}


def _tell_people(person: Person) -> None:
    """By addresses with a secret in each place, to nobody who takes it; and wrong ones."""
    addresses = (
        f"http://{HOOK}:{HOOK}@127.0.0.1:1/{HOOK}?token={HOOK}",
        f"json://{SERVICE}:{SERVICE}@127.0.0.1:1/{SERVICE}/?+X-Token={SERVICE}",
        f"nonsense://{SERVICE}",
        f"https:// {HOOK}",
    )
    for address, answered in zip(addresses, (201, 201, 400, 400), strict=True):
        way = "webhook" if address.startswith("http") else "apprise"
        status, told = person.ask(
            "POST",
            "/api/notifications",
            {"way": way, "address": address},
            **{"X-Api-Key": ADMIN_KEY},
        )
        assert status == answered, told
        if status == 201:
            path = f"/api/notifications/{json.loads(told)['id']}"
            assert person.ask("POST", f"{path}/test", {})[0] == 200
            assert person.ask("PUT", path, {"kinds": ["session_failed"]})[0] == 200
    with person.watching("3") as refused:
        assert refused == 503
    until("it was tried", lambda: b'"waiting":1' in person.ask("GET", "/api/notifications")[1])


def _read_all(person: Person) -> Told:
    """Every page and document that tells something."""
    sessions = json.loads(person.ask("GET", "/api/sessions")[1])
    rows = sessions if isinstance(sessions, list) else sessions["sessions"]
    pages = [
        "/",
        "/channels",
        "/history",
        "/time",
        "/events",
        "/metrics",
        "/health",
        "/readyz?verbose",
        "/notifications",
        "/api/notifications",
    ]
    pages += ["/api/dashboard", "/api/events?limit=100000", "/api/channels", "/lineup.json"]
    pages += ["/lineup.m3u", "/status.json", "/discover.json", "/device.xml", "/xmltv.xml"]
    for row in rows:
        pages += [f"/sessions/{row['id']}", f"/api/sessions/{row['id']}/events"]
    return {path: person.ask("GET", path)[1] for path in pages}


@contextlib.contextmanager
def command_lines_seen() -> Iterator[set[bytes]]:
    """Those of every process of this machine, while the block lasts."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def run_it_all(data_dir: Path, stub: ProviderStub, listed_at: str) -> tuple[Told, set[str]]:
    """A bridge from its start to its end: what it told and kept, and the credentials it made."""
    with (
        RunningBridge(
            data_dir,
            PLEXBRIDGE_PLAYLIST=listed_at.replace("://", f"://{USER}:{PASSWORD}@"),
            PLEXBRIDGE_GUIDE=stub.url(f"/guide.xml?password={PASSWORD}"),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            PLEXBRIDGE_ADMIN_KEY=ADMIN_KEY,
            PLEXBRIDGE_LOG_LEVEL="debug",
            PLEXBRIDGE_FIRST_BYTE_TIMEOUT="1500",
            PLEXBRIDGE_UPSTREAM_STALL="300",
            PLEXBRIDGE_LINGER="0",
            TUNER_COUNT="1",
        ) as bridge,
        command_lines_seen() as seen,
    ):
        told, made = everything_once(bridge)
    told["command lines"] = b"\n".join(seen)
    told["output"] = re.sub(r"code=\S+", "", bridge.output).encode()
    told["log lines"] = (data_dir.parent / f"{data_dir.name}.stderr").read_bytes()
    kept = {path.name: path.read_bytes() for path in data_dir.iterdir() if path.is_file()}
    assert PASSWORD.encode() in kept["lineup.db"], "the canaries were there to be told"
    told |= {name: body for name, body in kept.items() if name not in KEEPS_THEM}
    targets, people = (data_dir / "notifications" / name for name in ("targets.json", "told.json"))
    assert HOOK in targets.read_text()
    told["told.json"] = people.read_bytes()
    return told, made


async def test_no_credential_is_told_anywhere(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """Played, failed, refused; logged in, and not; by page and command: no answer, log line, event,
    metric, argument or file of the log holds a login, a key, a code or a cookie."""
    tool("ffmpeg")
    async with ProviderStub() as stub:

        async def listed(connection: Connection) -> None:
            await connection.answer(headers={"Content-Type": "audio/x-mpegurl"})
            await connection.send(playlist(stub).encode())

        listed_at = stub.on(f"/get.php?username={USER}&password={PASSWORD}", listed)
        told, made = await asyncio.to_thread(run_it_all, tmp_path / "data", stub, listed_at)
    assert len(told) > 40
    assert b"disconnect" in told["/api/events?limit=100000"]
    assert b"Login refused" in told["log lines"]
    assert b"A notice could not be sent" in told["log lines"]
    assert b"concat" in told["command lines"], "ffmpeg ran, and read a login"
    canaries = {USER, PASSWORD, TOKEN, ADMIN_KEY, DOOR, WRONG_KEY, WRONG_DOOR, HOOK, SERVICE, *made}
    assert min(map(len, canaries)) >= 15
    assert not [
        (canary, name)
        for name, body in told.items()
        for canary in canaries
        if canary.encode() in body
    ]
