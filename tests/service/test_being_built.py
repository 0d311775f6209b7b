"""What a bridge answers while its dashboard is being built: that, how far, and everything else."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plexbridge.control import projector, successor
from plexbridge.data_dir import LOG_FILE
from projections import dashboard
from tests.service.access_rig import House, ask, house
from tests.service.another_version import OLD_WORDS, change, hold_up, let_go, older_version
from tests.service.command_line import Cli
from tests.service.relay_setup import until
from tests.service.test_projector import opened
from tests.service.written_logs import house as household
from tests.service.written_logs import write

BROWSER = {"accept": "text/html,*/*"}
NOT_YET = (
    "/api/dashboard",
    "/api/dashboard?at=3",
    "/api/sessions",
    "/api/sessions/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/api/history",
    "/api/time",
    "/api/summary",
)
MEANWHILE = ("/api/status", "/api/sources", "/api/channels", "/api/log/head", "/api/events")


@pytest.fixture(autouse=True)
def nothing_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a house of a few hundred events would not wait for."""
    monkeypatch.setattr(projector, "BUILT_BEFORE_SERVING_EVENTS", -1)
    monkeypatch.setattr(successor, "AGAIN_AFTER_S", 0.01)


@asynccontextmanager
async def being_built(data_dir: Path) -> AsyncIterator[House]:
    """A bridge on what an older version left, that cannot switch before it is let go."""
    with older_version():
        async with opened(data_dir / LOG_FILE) as (_, old):
            await until(lambda: old.being_built is None)
    change(data_dir / LOG_FILE, hold_up)
    async with house(data_dir) as made:
        await until(lambda: made.bridge.projector.position >= made.bridge.durable_position > 0)
        yield made


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """With a log in it."""
    write(tmp_path / "data", household().appends)
    return tmp_path / "data"


async def test_no_number_is_told_before_it_is_true(data_dir: Path) -> None:
    """503 with how far it is, and when to ask again; then the whole truth."""
    async with being_built(data_dir) as made:
        for path in NOT_YET:
            answer = await ask(made.app, path)
            assert (path, answer.status) == (path, 503)
            told: dict[str, Any] = answer.document
            assert told["error"] == "being_built"
            assert (told["name"], told["version"]) == (dashboard.NAME, dashboard.VERSION)
            assert 0 < told["position"] <= told["of"]
            assert f"position {told['position']:,} of {told['of']:,}" in told["detail"]
            assert answer.headers["retry-after"] == "2"
        for path in MEANWHILE:
            assert (path, (await ask(made.app, path)).status) == (path, 200)

        await made.bridge.log.run_in_writer(let_go)
        await until(lambda: made.bridge.projector.being_built is None)
        for path in (*NOT_YET[:3], *NOT_YET[4:], *MEANWHILE):
            answer = await ask(made.app, path)
            assert (path, answer.status) == (path, 200)
            assert OLD_WORDS.encode() not in answer.body


async def test_a_person_is_shown_how_far_it_is(data_dir: Path) -> None:
    """A page that asks again by itself; health and events can be read."""
    async with being_built(data_dir) as made:
        for path in ("/", "/history", "/time"):
            page = await ask(made.app, path, BROWSER)
            assert (path, page.status) == (path, 503)
            assert page.headers["refresh"] == "2"
            assert "content-security-policy" in page.headers
            assert b"The dashboard is being built" in page.body
            assert b"<progress" in page.body
        assert (await ask(made.app, "/events", BROWSER)).status == 200
        status = await ask(made.app, "/status", BROWSER)
        assert status.status == 200
        assert b"is being built from the event log: position" in status.body


async def test_it_is_ready_for_players(data_dir: Path) -> None:
    """Nothing that is given waits for it; monitoring is told, and no figure of it is made up."""
    async with being_built(data_dir) as made:
        assert (await ask(made.app, "/livez")).status == 200
        verbose = (await ask(made.app, "/readyz?verbose")).body.decode()
        assert "[+]projections the dashboard (version" in verbose
        health = (await ask(made.app, "/health")).document
        assert health["checks"]["projections"]["ok"]
        metrics = (await ask(made.app, "/metrics")).body.decode()
        assert "plexbridge_sessions{" not in metrics
        assert "plexbridge_client_bytes" not in metrics
        assert 'plexbridge_projection_lag_events{name="dashboard"}' in metrics
        rows = json.loads((await ask(made.app, "/status.json")).body)
        assert [row["Resource"] for row in rows] == ["tuner0", "tuner1", "tuner2", "tuner3"]


def told(cli: Cli) -> dict[str, Any]:
    """How the dashboard stands; the bridge beside it, in this process, logs to the same stdout."""
    lines = cli("projections", "ls", "--json").out.splitlines()
    found: dict[str, Any] = next(json.loads(text) for text in lines if text.startswith("{"))
    assert found["name"] == dashboard.NAME
    return found


async def test_how_it_stands_is_told_beside_the_running_bridge(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `projections ls`, for people and for programs."""
    cli = Cli(data_dir, capsys)
    async with being_built(data_dir) as made:
        shown = cli("projections", "ls").out
        assert "version" in shown
        assert "being built: position" in shown
        built = told(cli)
        assert built["version"] == dashboard.VERSION - 1
        assert built["building"]["version"] == dashboard.VERSION
        assert cli("projections", "verify").code == 3
        await made.bridge.log.run_in_writer(let_go)
        await until(lambda: made.bridge.projector.being_built is None)
        built = told(cli)
        assert (built["version"], built["building"]) == (dashboard.VERSION, None)
        assert cli("projections", "verify").code == 0
