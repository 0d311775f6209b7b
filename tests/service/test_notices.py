"""A bridge that tells people: a real receiver on the other side, restarts in between."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from events.ids import BRIDGE_STREAM
from plexbridge.notices.kinds import Kind
from plexbridge.web.access.keys import ApiKey, change_keys
from plexbridge.web.access.roles import Role
from plexbridge.web.access.tokens import digest_of
from tests.service.access_rig import HOME, Answer, House, ask, house
from tests.service.notice_receiver import DEADLINE_S, Receiver

ALLOW = {"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8"}
SECRET = "a-very-secret-token"
ADMIN, VIEWER = "pbk_of-an-admin", "pbk_of-a-viewer"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A bridge that may reach this machine, with its desk at work."""
    async with at_work(tmp_path) as made:
        yield made


def at_work(folder: Path, **more: str) -> Any:
    """The same, on a directory."""
    return house(folder, **{**ALLOW, **more})


async def post(home: House, path: str = "", **send: Any) -> Answer:
    """Ask the API."""
    return await ask(home.app, f"/api/notifications{path}", method="POST", send=send)


async def added(home: House, address: str, **more: Any) -> str:
    """A target's id."""
    way = "webhook" if address.startswith("http") else "apprise"
    answer = await post(home, way=way, address=address, **more)
    assert answer.status == 201, answer.body
    return str(answer.document["id"])


async def listed(home: House) -> list[dict[str, Any]]:
    """The targets as they are told."""
    rows: list[dict[str, Any]] = (await ask(home.app, "/api/notifications")).document["targets"]
    return rows


async def leak_found(home: House, what: str) -> None:
    """Something is recorded that is told."""
    await home.bridge.door.note(BRIDGE_STREAM, "swept", {"what": what, "of": "x"})


async def until(condition: Callable[[], Any]) -> None:
    """Until it holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (the other side is a thread or a socket)
            await asyncio.sleep(0.01)


async def test_what_is_recorded_is_posted(home: House) -> None:
    """As JSON, with a link to where it was added from; only of the kinds that were chosen."""
    async with Receiver() as receiver:
        await added(home, receiver.url(), kinds=["audit_finding"])
        await added(home, receiver.url("/other"), kinds=["guide_stale"])
        await leak_found(home, "lease_without_relay")
        [document] = await receiver.got(1)
        head = home.bridge.log.reader.head().pos
    assert document == {
        "kind": "audit_finding",
        "title": "The bridge found a bug of its own",
        "text": "The sweep found and ended a lease without relay: x. Please report it; "
        "`plexbridge incident` makes a file to send along.",
        "at": document["at"],
        "position": head,
        "more": 0,
        "url": f"http://127.0.0.1:5004/events?before={head + 1}#e{head}",
    }
    assert [path for path, _ in receiver.posts] == ["/hook"]
    assert receiver.seen[0]["content-type"] == "application/json"
    first, other = await listed(home)
    assert (first["last"]["ok"], first["last"]["attempts"]) == (True, 1)
    assert first["last"]["words"] == "it was sent, and answered 200"
    assert other["last"] is None
    metrics = (await ask(home.app, "/metrics")).body.decode()
    assert 'plexbridge_notices_total{kind="audit_finding",result="sent"} 1.0' in metrics
    assert 'plexbridge_notices_total{kind="session_failed",result="dropped"} 0.0' in metrics


async def test_a_restart_tells_nothing_again_and_misses_nothing(tmp_path: Path) -> None:
    """Neither what was told, nor what happened while it was down for less than it is news."""
    told = tmp_path / "notifications" / "told.json"
    async with Receiver() as receiver:
        async with at_work(tmp_path) as made:
            await added(made, receiver.url())
            await leak_found(made, "lease_without_relay")
            await receiver.got(1)
            async with made.bridge.notices._turn:  # it does not get to look again
                await leak_found(made, "relay_without_lease")
                kept = told.read_bytes()
        told.write_bytes(kept)  # as if it had been killed then
        for what in ("projection_parked", "session_without_connection"):
            async with at_work(tmp_path) as made:
                await leak_found(made, what)
                expected = 3 if what == "projection_parked" else 4
                texts = [one["text"] for one in await receiver.got(expected)]
        found = [text.partition(":")[0].partition("ended a ")[2] for text in texts]
        assert found == [
            "lease without relay",
            "relay without lease",
            "projection parked",
            "session without connection",
        ]
        [row] = await list_after(tmp_path)
    assert row["last"]["ok"], "how it went last outlives a restart"


async def list_after(folder: Path) -> list[dict[str, Any]]:
    """The targets of a bridge that was started anew."""
    async with at_work(folder) as made:
        return await listed(made)


async def test_another_log_is_followed_from_its_end(tmp_path: Path) -> None:
    """A position behind it is of no use: nothing of it is told, what comes next is."""
    async with Receiver() as receiver:
        async with at_work(tmp_path) as made:
            await added(made, receiver.url())
        told = tmp_path / "notifications" / "told.json"
        told.write_text(json.dumps(json.loads(told.read_text()) | {"position": 10**6}))
        async with at_work(tmp_path) as made:
            await leak_found(made, "lease_without_relay")
            assert len(await receiver.got(1)) == 1


async def test_nobody_to_tell_follows_nothing(tmp_path: Path) -> None:
    """No file, no reading of the log; the first target begins with what happens next."""
    async with Receiver() as receiver, at_work(tmp_path) as made:
        await leak_found(made, "lease_without_relay")
        assert not (tmp_path / "notifications").exists()
        assert made.bridge.notices.position is None
        id_ = await added(made, receiver.url())
        await leak_found(made, "relay_without_lease")
        [document] = await receiver.got(1)
        assert "relay without lease" in document["text"]
        answer = await ask(made.app, f"/api/notifications/{id_}", method="DELETE")
        assert (answer.status, answer.document) == (200, {"removed": id_})
        assert made.bridge.notices.position is None
        kept = json.loads((tmp_path / "notifications" / "targets.json").read_text())
        assert kept["targets"] == []
        assert await listed(made) == []


async def test_a_secret_is_kept_in_one_private_place_and_shown_nowhere(tmp_path: Path) -> None:
    """0600 in 0700; the API shows the host of a webhook, and of Apprise the service alone."""
    async with Receiver() as receiver, at_work(tmp_path) as made:
        await added(made, receiver.url(f"/{SECRET}?key={SECRET}"), name="Phone")
        await added(made, f"json://{SECRET}@127.0.0.1:{receiver.port}/{SECRET}")
        rows = await listed(made)
        assert [row["address"] for row in rows] == [
            f"http://127.0.0.1:{receiver.port}/***?key=***",
            "json://***",
        ]
        assert rows[0]["name"] == "Phone"
        for path in ("/api/notifications", "/notifications", "/metrics", "/api/events?limit=1000"):
            assert SECRET.encode() not in (await ask(made.app, path)).body, path
        assert SECRET not in repr(made.bridge.notices.rows()[0].target)
    folder = tmp_path / "notifications"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    targets = folder / "targets.json"
    assert stat.S_IMODE(targets.stat().st_mode) == 0o600
    assert SECRET in targets.read_text()
    assert SECRET not in (folder / "told.json").read_text()


@pytest.mark.parametrize(
    ("answers", "ok", "words"),
    [
        ([200], True, "it was sent, and answered 200"),
        ([204], True, "it was sent, and answered 204"),
        ([404], False, "it answered 404"),
        ([301], False, "it answered 301, which leads elsewhere"),
        ([503, 200], False, "it answered 503"),
    ],
)
async def test_a_test_is_really_sent_once(
    home: House, answers: list[int | None], ok: bool, words: str
) -> None:
    """Whatever comes of it is the answer, in words; it is never tried again."""
    async with Receiver(*answers) as receiver:
        id_ = await added(home, receiver.url())
        answer = await post(home, f"/{id_}/test")
    assert answer.status == 200
    assert answer.document["ok"] is ok
    assert answer.document["words"].startswith(words)
    [(_, document)] = receiver.posts
    assert (document["kind"], document["url"]) == ("test", "http://127.0.0.1:5004/notifications")
    [row] = await listed(home)
    assert (row["last"]["kind"], row["last"]["ok"]) == ("test", ok)


async def test_a_test_says_why_it_could_not_be_sent(tmp_path: Path) -> None:
    """Nothing listens, no such name; and this machine, which only the setting opens."""
    async with Receiver() as receiver:
        free, hook = receiver.port, receiver.url()
    for allow, address, words in (
        (ALLOW, f"http://127.0.0.1:{free}/x", "nothing accepts connections"),
        (ALLOW, "http://no-such-name.invalid/x", "the name in the address is not known"),
        ({"PLEXBRIDGE_UPSTREAM_ALLOW": ""}, hook, "PLEXBRIDGE_UPSTREAM_ALLOW"),
        ({"PLEXBRIDGE_UPSTREAM_ALLOW": ""}, f"json://127.0.0.1:{free}/x", "ALLOW"),
        (ALLOW, "http://169.254.169.254/latest", "not allowed"),
    ):
        async with house(tmp_path / f"{abs(hash(words + address))}", **allow) as made:
            id_ = await added(made, address)
            answer = (await post(made, f"/{id_}/test")).document
            assert answer["ok"] is False
            assert words in answer["words"]


async def test_a_service_is_told_by_apprise(home: House) -> None:
    """Its `json://`, in a process of its own; the answer is the service's."""
    async with Receiver(200, 500) as receiver:
        id_ = await added(home, receiver.url(f"/{SECRET}/", scheme="json"), name="By Apprise")
        assert (await post(home, f"/{id_}/test")).document == {
            "ok": True,
            "words": "it was sent, and the service took it",
        }
        assert (await post(home, f"/{id_}/test")).document == {
            "ok": False,
            "words": "the service answered 500",
        }
    path, document = receiver.posts[0]
    assert path == f"/{SECRET}/"
    assert document["title"] == "A test from PlexBridge"
    assert document["message"].startswith("Notices of PlexBridge arrive here.\nhttp://127.0.0.1")


async def test_what_can_be_no_target_is_refused_with_the_reason(home: House) -> None:
    """And with the field, but never with the address."""
    good: dict[str, Any] = {"way": "webhook", "address": "http://127.0.0.1:9/x"}
    for change, field in (
        ({"way": "pigeon"}, "way"),
        ({"address": f"ftp://{SECRET}@host"}, "address"),
        ({"address": f"http://{SECRET}@host:x/"}, "address"),
        ({"address": f"http://host/{SECRET} b"}, "address"),
        ({"address": ""}, "address"),
        ({"address": 7}, "address"),
        ({"address": "http://host/" + "x" * 2_000}, "address"),
        ({"way": "apprise", "address": f"nonsense://{SECRET}"}, "address"),
        ({"way": "apprise", "address": f"{SECRET}"}, "address"),
        ({"kinds": ["weather"]}, "kinds"),
        ({"kinds": "all"}, "kinds"),
        ({"name": "x" * 81}, "name"),
    ):
        answer = await post(home, **(good | change))
        assert (answer.status, answer.document["field"]) == (400, field), change
        assert SECRET.encode() not in answer.body
    answer = await ask(home.app, "/api/notifications", method="POST", send=[1])
    assert (answer.status, answer.document["field"]) == (400, "body")
    assert await listed(home) == []
    for method, path in (("DELETE", "/x"), ("PUT", "/x"), ("POST", "/x/test")):
        answer = await ask(home.app, f"/api/notifications{path}", method=method, send={"kinds": []})
        assert (answer.status, answer.document["error"]) == (404, "unknown_target")


async def test_the_kinds_are_chosen_anew_and_there_is_a_bound(home: House) -> None:
    """In the order in which they are always listed; the twenty-first is one too many."""
    id_ = await added(home, "http://127.0.0.1:9/1")
    assert [str(kind) for kind in Kind] == (await listed(home))[0]["kinds"]
    send = {"kinds": ["source_up", "session_failed"]}
    answer = await ask(home.app, f"/api/notifications/{id_}", method="PUT", send=send)
    assert answer.document["kinds"] == ["session_failed", "source_up"]
    for number in range(2, 21):
        await added(home, f"http://127.0.0.1:9/{number}")
    answer = await post(home, way="webhook", address="http://127.0.0.1:9/21")
    assert (answer.status, answer.document["error"]) == (409, "too_many_targets")


async def test_a_viewer_sees_and_an_admin_acts(tmp_path: Path) -> None:
    """Adding, changing, removing and trying takes the role admin, on the page as well."""
    for key, role in ((ADMIN, Role.ADMIN), (VIEWER, Role.VIEWER)):
        made_key = ApiKey(role, role, digest_of(key), 0)
        change_keys(tmp_path, lambda kept, one=made_key: (*kept, one))  # type: ignore[misc]
    async with at_work(tmp_path, PLEXBRIDGE_ADMIN_PASSWORD="a password of the house") as made:
        base, seen = "/api/notifications", {"x-api-key": VIEWER}
        send = {"way": "webhook", "address": f"http://127.0.0.1:9/{SECRET}"}
        admin = {"x-api-key": ADMIN}
        answer = await ask(made.app, base, admin, peer=HOME, method="POST", send=send)
        id_ = answer.document["id"]
        assert (await ask(made.app, base, seen, peer=HOME)).document["targets"][0]["id"] == id_
        for method, path, body in (
            ("POST", "", send),
            ("PUT", f"/{id_}", {"kinds": []}),
            ("DELETE", f"/{id_}", None),
            ("POST", f"/{id_}/test", {}),
        ):
            answer = await ask(made.app, base + path, seen, peer=HOME, method=method, send=body)
            assert answer.status == 403, (method, path)
        page = await ask(made.app, "/notifications", seen, peer=HOME)
        assert (page.status, b"<button" in page.body.split(b"<main>")[1]) == (200, False)


async def test_targets_that_cannot_be_read_are_said_and_left_alone(tmp_path: Path) -> None:
    """The bridge starts, tells nobody, and overwrites nothing."""
    folder = tmp_path / "notifications"
    folder.mkdir(parents=True)
    (folder / "targets.json").write_text('{"targets": [{"address": "' + SECRET)
    async with at_work(tmp_path) as made:
        document = (await ask(made.app, "/api/notifications")).document
        assert "is damaged: move it away" in document["problem"]
        answer = await post(made, way="webhook", address="http://127.0.0.1:9/")
        assert (answer.status, answer.document["error"]) == (503, "cannot_store")
        assert b"is damaged" in (await ask(made.app, "/notifications")).body
    assert SECRET in (folder / "targets.json").read_text()


async def test_a_reading_of_a_source_that_fails_for_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the real event of a real source, and again when it is up; the time is made short."""
    monkeypatch.setattr("plexbridge.notices.standing.DOWN_AFTER_S", 0)
    playlist = tmp_path / "list.m3u"
    playlist.write_text("#EXTM3U\n#EXTINF:-1,One\nhttp://127.0.0.1:9/1\n")
    async with (
        Receiver() as receiver,
        at_work(tmp_path / "data", PLEXBRIDGE_PLAYLIST=str(playlist)) as made,
    ):
        await added(made, receiver.url())
        source = made.bridge.sources.status()[0].source.id  # type: ignore[union-attr]
        moved = playlist.rename(tmp_path / "away")
        asked = await ask(made.app, f"/api/sources/{source}/refresh", method="POST", send={})
        assert asked.status == 502
        [down] = await receiver.got(1)
        playlist.write_text(f"{moved.read_text()}#EXTINF:-1,Two\nhttp://127.0.0.1:9/2\n")
        await ask(made.app, f"/api/sources/{source}/refresh", method="POST", send={})
        _, up = await receiver.got(2)
    assert (down["kind"], down["source"], up["kind"]) == ("source_down", source, "source_up")
