"""What relaying costs beside nginx: processor time per Gbit, in the same run, on the same load.

The bridge and nginx (`proxy_pass`, one worker, without buffering to disk) take turns, so that
whatever else the machine does meets both. The time is that of the serving processes, user and
system, over some seconds of steady delivery, by the bits that arrived.
"""

import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.load import Counted, Load, pid_of, port_of
from tests.bench.processes import cpu_seconds, resident_mb
from tests.end_to_end.running import until

SETTLE_S = 1.0
"""Between two runs: until the connections of the one before are gone."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many players on so many channels, and what that may cost beside nginx."""

    name: str
    channels: int
    players: int
    target: float


@dataclass(frozen=True, slots=True)
class Length:
    """How often and how long."""

    runs: int
    spare_runs: int
    """More, for runs in which nginx was not served at the rate either: the machine was busy."""
    warm_up_s: float
    seconds: float


SCENARIOS = (
    Scenario("one player per channel", 200, 200, 1.25),
    Scenario("50 players per channel", 20, 1_000, 0.25),
)
QUICK_SCENARIOS = (
    Scenario("one player per channel", 20, 20, 1.25),
    Scenario("50 players per channel", 2, 100, 0.25),
)
LENGTH = Length(runs=3, spare_runs=2, warm_up_s=5, seconds=6)
QUICK_LENGTH = Length(runs=1, spare_runs=0, warm_up_s=2, seconds=2)


@dataclass(frozen=True, slots=True)
class Cost:
    """One run against one server."""

    counted: Counted
    cpu_s: float
    memory_mb: float

    @property
    def ms_per_gbit(self) -> float:
        """Processor milliseconds per Gbit that arrived."""
        return self.cpu_s * 1e3 / (self.counted.bits / 1e9) if self.counted.bits else float("inf")

    def shown(self, name: str) -> str:
        """One line."""
        counted = self.counted
        return (
            f"{name:7} {self.ms_per_gbit:7.1f} ms/Gbit  {self.cpu_s / counted.seconds:4.2f} cores  "
            f"{self.memory_mb:5.0f} MB  {counted.bits / counted.seconds / 1e9:5.2f} Gbit/s  "
            f"slowest {counted.slowest:4.2f}  lost {counted.lost}"
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """The bridge and nginx, one right after the other; None where nginx is missing."""

    ours: Cost
    theirs: Cost | None

    @property
    def undisturbed(self) -> bool:
        """Whether the machine was ours alone, as far as nginx shows. A server that starves players
        works less, and one that makes up for a delay works in larger pieces."""
        return self.theirs is None or self.theirs.counted.whole

    @property
    def ratio(self) -> float:
        """Infinite where there is none, because one of the two was not at the rate."""
        if self.theirs is None or not (self.undisturbed and self.ours.counted.whole):
            return float("inf")
        return self.ours.ms_per_gbit / self.theirs.ms_per_gbit


def measure(quick: bool) -> list[Figure]:
    """Both scenarios."""
    scenarios = QUICK_SCENARIOS if quick else SCENARIOS
    length = QUICK_LENGTH if quick else LENGTH
    with tempfile.TemporaryDirectory() as folder, Load(Path(folder)) as load:
        return [
            figure for each in scenarios for figure in _scenario(load, each, length, Path(folder))
        ]


def _scenario(load: Load, scenario: Scenario, length: Length, work: Path) -> list[Figure]:
    pairs: list[Pair] = []
    print(f"{scenario.name}: {scenario.players} players on {scenario.channels} channels")
    with load.bridge(scenario.channels) as bridge, nginx(work, load.port) as beside:
        for _ in range(length.runs + length.spare_runs):
            if sum(pair.undisturbed for pair in pairs) == length.runs:
                break
            ours = _cost(load, port_of(bridge), pid_of(bridge), "/auto/v", scenario, length)
            print(ours.shown("bridge"), flush=True)
            theirs = None
            if beside is not None:
                theirs = _cost(load, *beside, "/c", scenario, length)
                print(theirs.shown("nginx"), flush=True)
            pairs.append(Pair(ours, theirs))
    return list(_figures(scenario, [pair for pair in pairs if pair.undisturbed] or pairs))


def _cost(load: Load, port: int, pid: int, prefix: str, scenario: Scenario, length: Length) -> Cost:
    at_edges: list[float] = []
    with load.players(
        port,
        scenario.players,
        scenario.channels,
        prefix=prefix,
        warm_up_s=length.warm_up_s,
        seconds=length.seconds,
    ) as players:
        counted = players.counted(lambda: at_edges.append(cpu_seconds(pid)))
        memory_mb = resident_mb(pid)
    time.sleep(SETTLE_S)
    begun, ended = at_edges
    return Cost(counted, ended - begun, memory_mb)


def _figures(scenario: Scenario, pairs: list[Pair]) -> Iterator[Figure]:
    name = f"relaying, {scenario.name} ({scenario.players} × 8 Mbit/s)"
    ours = [pair.ours for pair in pairs]
    theirs = [pair.theirs for pair in pairs if pair.theirs is not None]
    cost = statistics.median(each.ms_per_gbit for each in ours)
    if theirs:
        beside = statistics.median(each.ms_per_gbit for each in theirs)
        ratios = [pair.ratio for pair in pairs]
        value = f"{cost:.1f} ms of processor per Gbit (nginx {beside:.1f})"
        ratio = f"{_times(statistics.median(ratios))} (of {', '.join(map(_times, ratios))})"
        yield Figure(name, value, f"{scenario.target} × nginx", ratio)
    else:
        yield Figure(name, f"{cost:.1f} ms of processor per Gbit", "", "nginx is missing")
    slowest = min(each.counted.slowest for each in ours)
    lost = sum(each.counted.lost for each in ours)
    yield Figure("… the slowest player's share of the rate", f"{slowest:.2f}; {lost} lost", "0.9")
    memory_mb = max(each.memory_mb for each in ours)
    target = "400 MB" if scenario.channels == scenario.players == 200 else ""
    yield Figure("… resident memory", f"{memory_mb:.0f} MB", target)


def _times(ratio: float) -> str:
    return f"{ratio:.2f} ×" if ratio < float("inf") else "none: not at the rate"


def nginx_version() -> str:
    """`nginx/1.2.3`, or that there is none."""
    program = _nginx_program()
    if program is None:
        return "no nginx"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=10, check=True)
    return (said.stdout + said.stderr).strip().rpartition(" ")[2]


def _nginx_program() -> str | None:
    # Not every distribution has it on everyone's path.
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(work: Path, upstream_port: int) -> Iterator[tuple[int, int] | None]:
    """Its port and process, relaying the provider; None where it is not installed."""
    program = _nginx_program()
    if program is None:
        print("nginx is not installed: the bridge is measured alone")
        yield None
        return
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    configuration = work / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{kind}_temp_path {work}/nginx-{kind};" for kind in kinds)
    configuration.write_text(
        f"""daemon off; worker_processes 1; worker_rlimit_nofile 10000;
pid {work}/nginx.pid; error_log {work}/nginx.log;
events {{ worker_connections 8000; }}
http {{ access_log off; {folders}
server {{ listen 127.0.0.1:{port} backlog=4096;
location / {{ proxy_pass http://127.0.0.1:{upstream_port}; proxy_http_version 1.1;
proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;
proxy_busy_buffers_size 128k; }} }} }}
"""
    )
    log = str(work / "nginx.log")
    process = subprocess.Popen([program, "-p", work, "-c", configuration, "-e", log])
    try:
        until("nginx listens, or gave up", lambda: _answers(port) or process.poll() is not None)
        assert process.poll() is None, "nginx does not take its configuration"
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
