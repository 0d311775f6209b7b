"""What other dashboards are told: `/api/summary`, and the metrics that Grafana's reads."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import ProviderStub, endless

WITHIN_S = 10.0
DASHBOARD = Path(__file__).parents[2] / "contrib" / "grafana-dashboard.json"
LABELS = {"state", "reason", "rule", "source", "name", "le", "kind", "result"}
"""Those of our metrics; all are bounded."""
KINDS = {
    "tuners_in_use": int,
    "tuners_total": int,
    "sessions": int,
    "channels": int,
    "sources_ok": int,
    "sources_total": int,
    "problem": str,
    "bitrate_out": int,
    "version": str,
}


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[RunningBridge]:
    """One channel of a provider that never ends, on a playlist that is a file."""
    async with ProviderStub() as stub:
        playlist = tmp_path / "list.m3u"
        address = stub.on("/1", endless(bits_per_s=4e6))
        playlist.write_text(f"#EXTM3U\n#EXTINF:-1,One\n{address}\n")
        running = RunningBridge(
            tmp_path / "data",
            *("--playlist", str(playlist)),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            TUNER_COUNT="3",
        )
        await asyncio.to_thread(running.start)
        yield running
        await asyncio.to_thread(running.stop)


async def ask(client: aiohttp.ClientSession, address: str, method: str = "GET") -> Any:
    async with client.request(method, address) as answer:
        return orjson.loads(await answer.read())


async def test_the_summary_is_flat_and_of_this_moment(
    bridge: RunningBridge, client: aiohttp.ClientSession
) -> None:
    """Numbers and short words alone; a viewer is in it, and the rate that it is sent."""
    address = f"{bridge.base}/api/summary"
    idle = await ask(client, address)
    assert {name: type(value) for name, value in idle.items()} == KINDS
    assert (idle["tuners_in_use"], idle["tuners_total"], idle["sessions"]) == (0, 3, 0)
    assert (idle["channels"], idle["sources_ok"], idle["sources_total"]) == (1, 1, 1)
    assert (idle["problem"], idle["bitrate_out"]) == ("", 0)
    async with client.get(f"{bridge.base}/auto/v1") as watching, asyncio.timeout(WITHIN_S):
        while True:
            await watching.content.readexactly(188 * 500)
            found = await ask(client, address)
            if found["bitrate_out"] > 0:
                break
    assert (found["tuners_in_use"], found["sessions"], found["problem"]) == (1, 1, "")


async def test_a_source_in_trouble_is_the_problem(
    bridge: RunningBridge, client: aiohttp.ClientSession
) -> None:
    """In one sentence, no longer than a state of Home Assistant; and it is counted."""
    (bridge.data_dir.parent / "list.m3u").write_text("<html>" + "no playlist " * 100)
    (source,) = await ask(client, f"{bridge.base}/api/sources")
    refused = await ask(client, f"{bridge.base}/api/sources/{source['id']}/refresh", "POST")
    found = await ask(client, f"{bridge.base}/api/summary")
    assert found["problem"].startswith(f"{source['id']}: {refused['detail'][:40]}")
    assert len(found["problem"]) <= 255
    assert "\n" not in found["problem"]
    assert (found["sources_ok"], found["sources_total"]) == (0, 1)


async def test_guides_are_read_when_asked_for_and_none_is_said(
    bridge: RunningBridge, client: aiohttp.ClientSession
) -> None:
    """This bridge has none: a list without entries, and a refusal in words."""
    assert await ask(client, f"{bridge.base}/api/guides") == []
    async with client.post(f"{bridge.base}/api/guides/refresh") as answer:
        assert answer.status == 409
        assert (await answer.json())["error"] == "no_guide"


async def test_every_metric_of_the_grafana_dashboard_is_exported(
    bridge: RunningBridge, client: aiohttp.ClientSession
) -> None:
    """And every exported one is on it: what is measured and never looked at is not measured."""
    async with client.get(f"{bridge.base}/metrics") as answer:
        text = await answer.text()
    exported: dict[str, str] = {}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        series = [f"{name}_bucket"] if kind == "histogram" else [name]
        exported |= dict.fromkeys(series, kind)
    document = orjson.loads(DASHBOARD.read_bytes())
    shown = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
    asked = {name for expr in shown for name in re.findall(r"plexbridge_\w+", expr)}
    ours = {name for name in exported if not name.endswith("_created")}
    assert asked == ours
    by = {
        word
        for words in re.findall(r"by \(([\w, ]+)\)", " ".join(shown))
        for word in words.split(", ")
    }
    legends = [
        target["legendFormat"] for panel in document["panels"] for target in panel["targets"]
    ]
    assert set(re.findall(r"\{\{(\w+)\}\}", " ".join(legends))) <= by <= LABELS
    for expr in shown:
        counter = re.search(r"(?:rate|increase)\((plexbridge_\w+)", expr)
        assert counter is None or exported[counter[1]] in ("counter", "histogram"), expr
