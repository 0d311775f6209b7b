"""Long playlists: how long a refresh takes, what it needs, and what whoever watches notices of it.

The list is put where a running bridge reads it, and a refresh is asked for; meanwhile `/livez` is
asked all the time. The generator is `write_playlist`.
"""

import json
import re
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from tests.bench.figures import Figure, milliseconds
from tests.bench.lag import answers_ms
from tests.bench.load import pid_of, port_of
from tests.end_to_end.running import RunningBridge

ENTRIES = (200_000, 500_000)
"""400,000 and 1,000,000 lines."""
QUICK_ENTRIES = (8_000,)
TARGETS = {200_000: "5 s", 500_000: "30 s"}

SECONDS_MAX = 300.0


def write_playlist(path: Path, entries: int) -> None:
    """A list as panels write them: two lines an entry, an attribute of each kind."""
    with path.open("w", encoding="utf-8") as file:
        file.write("#EXTM3U\n")
        for at in range(entries):
            file.write(
                f'#EXTINF:-1 tvg-id="ch{at}.example" tvg-name="Channel {at} HD" '
                f'tvg-logo="http://logos.example.com/picons/{at}.png" '
                f'group-title="Group {at % 400}",Channel {at} HD\n'
                f"http://line.example.com:8080/live/username/password/{at}.ts\n"
            )


def measure(quick: bool) -> list[Figure]:
    """Each list in a bridge of its own: what one left behind is not the next one's."""
    return [row for count in (QUICK_ENTRIES if quick else ENTRIES) for row in _refreshed(count)]


def _refreshed(entries: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        playlist, data = Path(folder) / "list.m3u", Path(folder) / "data"
        write_playlist(playlist, 10)
        with RunningBridge(data, "--playlist", str(playlist)) as bridge:
            before_mb = _highest_mb(pid_of(bridge))
            write_playlist(playlist, entries)
            seconds, lags_ms = _refresh(bridge)
            highest_mb = _highest_mb(pid_of(bridge))
            said = (data.parent / "data.stderr").read_text(encoding="utf-8")
        workers_mb = [int(peak) for peak in re.findall(r"peak_mib\W+(\d+)", said)]
    memory = f"bridge {highest_mb:.0f} MB at most (before: {before_mb:.0f} MB)"
    if workers_mb:
        memory += f", its worker {max(workers_mb)} MB"
    return [
        Figure(
            f"playlist of {entries:,} entries, until it is in force",
            f"{seconds:.1f} s",
            TARGETS.get(entries, ""),
        ),
        Figure("… memory", memory, "200 MB"),
        Figure("… answer of `/livez` meanwhile", milliseconds(lags_ms, worst=True), "p99 50 ms"),
    ]


def _refresh(bridge: RunningBridge) -> tuple[float, list[float]]:
    """Seconds until the list is in force, and how long each answer took meanwhile."""
    with urllib.request.urlopen(f"{bridge.base}/api/sources") as answer:
        source = json.loads(answer.read())[0]["id"]
    lags_ms: list[float] = []
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            lags_ms.extend(answers_ms(port_of(bridge), 0.2))

    asking = threading.Thread(target=ask_on)
    asking.start()
    begun = time.monotonic()
    try:
        asked = urllib.request.Request(f"{bridge.base}/api/sources/{source}/refresh", method="POST")
        urllib.request.urlopen(asked, timeout=SECONDS_MAX).close()
        return time.monotonic() - begun, lags_ms
    finally:
        over.set()
        asking.join()


def _highest_mb(pid: int) -> float:
    """Resident memory at its highest, in MB of 2^20 bytes (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    assert found is not None, "Linux tells it"
    return int(found[1]) / 1_024
