"""SiliconDust's own program against a whole bridge, on two machines joined by a cable."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.service.discovery_rig import in_namespace
from tests.service.network_namespaces import Machine, machine

__all__ = ["machine"]

BRIDGE, PLAYER = "10.213.251.1", "10.213.251.2"
START_S = 20.0
DEVICE_ID = "1040A1B6"


class House:
    """A bridge on one machine, a player on another, and nobody else on the cable."""

    def __init__(self, bridge: Machine, player: Machine, tool: str, data_dir: Path) -> None:
        self._bridge = bridge
        self._player = player
        self._tool = tool
        self._data_dir = data_dir

    @property
    def player(self) -> str:
        """The namespace of the player's machine."""
        return self._player.name

    def join(self) -> None:
        """Lay the cable; take the one to this machine away."""
        here, there = self._bridge.name, self._player.name
        ends = (f"{here}h", f"{there}h")
        ip("link", "add", ends[0], "netns", here, "type", "veth", "peer", ends[1], "netns", there)
        for name, end, address in ((here, ends[0], BRIDGE), (there, ends[1], PLAYER)):
            ip("-n", name, "link", "set", f"{name}b", "down")
            ip("-n", name, "address", "add", f"{address}/24", "broadcast", "+", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def serve(self) -> "subprocess.Popen[str]":
        """The demo, as a person starts it, until it serves."""
        words = ["ip", "netns", "exec", self._bridge.name, sys.executable, "-m", "plexbridge.cli"]
        with (self._data_dir.parent / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [*words, "serve", "--demo"],
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "PLEXBRIDGE_DATA_DIR": str(self._data_dir),
                    "DEVICE_ID": DEVICE_ID,
                    "PLEXBRIDGE_SECOND_PORT": "80",
                    "PLEXBRIDGE_SSDP": "true",
                },
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout is not None
        if not any(line.startswith("  try it") for line in iter(process.stdout.readline, "")):
            process.communicate(timeout=20)
            pytest.fail(f"the bridge did not start: {self.errors()}")
        return process

    def errors(self) -> str:
        """What the bridge said."""
        return (self._data_dir.parent / "stderr").read_text()

    def asks(self, *words: str) -> str:
        """What the program answers to the player."""
        done = subprocess.run(
            ["ip", "netns", "exec", self._player.name, self._tool, *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return (done.stdout + done.stderr).strip()

    def finds(self) -> str:
        """What the player's search finds, once the bridge is up."""
        deadline = time.monotonic() + START_S
        while "found at" not in (found := self.asks("discover")):
            assert time.monotonic() < deadline, found + self.errors()
        return found

    def watches(self, url: str) -> HTTPResponse:
        """What the player is sent, and some of it is read; the caller closes it."""

        def begun() -> HTTPResponse:
            answer: HTTPResponse = urllib.request.urlopen(url, timeout=10)
            answer.read(188 * 10)
            return answer

        return in_namespace(self._player.name, begun)

    def gets(self, url: str) -> bytes:
        """What the player fetches."""

        def fetched() -> bytes:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())

        return in_namespace(self._player.name, fetched)


def searched() -> str:
    """What an SSDP search is answered first, on the machine that calls."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        program.settimeout(5)
        search = 'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: upnp:rootdevice\r\n\r\n'
        program.sendto(search.encode(), ("239.255.255.250", 1900))
        return program.recv(2_000).decode()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@pytest.fixture
def house(
    machine: Callable[[], Machine], tool: Callable[[str], str], tmp_path: Path
) -> Iterator[House]:
    program = tool("hdhomerun_config")
    joined = House(machine(), machine(), program, tmp_path / "data")
    joined.join()
    bridge = joined.serve()
    try:
        yield joined
    finally:
        bridge.terminate()
        bridge.communicate(timeout=20)
        assert bridge.returncode == 0


def test_hdhomerun_config_finds_the_tuner_and_reads_its_state(house: House) -> None:
    """By broadcast, by its address and by its id; then each variable that programs show, and the
    lineup where it was told to be, also without a port."""
    assert house.finds() == f"hdhomerun device {DEVICE_ID} found at {BRIDGE}"
    assert house.asks("discover", BRIDGE) == f"hdhomerun device {DEVICE_ID} found at {BRIDGE}"
    for name in (DEVICE_ID, BRIDGE):
        assert house.asks(name, "get", "/sys/model") == "hdhomerun5_atsc"
    for variable, value in {
        "/sys/version": "20250815",
        "/sys/hwmodel": "HDHR5-4US",
        "/tuner0/status": "ch=none lock=none ss=0 snq=0 seq=0 bps=0 pps=0",
        "/tuner3/streaminfo": "none",
        "/tuner0/vchannel": "none",
        "/lineup/scan": "state=complete progress=100 found=9",
        "/tuner4/status": "ERROR: unknown getset variable",
        "/sys/nope": "ERROR: unknown getset variable",
    }.items():
        assert house.asks(DEVICE_ID, "get", variable) == value
    assert "/tuner<n>/status" in house.asks(DEVICE_ID, "get", "help")
    assert house.asks(DEVICE_ID, "set", "/tuner0/channel", "auto:7").startswith("ERROR: tune by")
    assert house.asks(DEVICE_ID, "set", "/tuner0/lockkey", "none") == ""
    for base in (f"http://{BRIDGE}:3000", f"http://{BRIDGE}"):
        document = json.loads(house.gets(f"{base}/discover.json"))
        assert document["BaseURL"] == base
        lineup = json.loads(house.gets(document["LineupURL"]))
        assert len(lineup) == 9
        assert all(row["URL"].startswith(f"{base}/auto/v") for row in lineup)


def test_hdhomerun_config_sees_what_is_watched(house: House) -> None:
    """A tuner that streams says what it is on, as long as it does."""
    house.finds()
    with house.watches(f"http://{BRIDGE}:3000/auto/v2"):
        deadline = time.monotonic() + START_S
        while "lock=8vsb ss=100" not in house.asks(DEVICE_ID, "get", "/tuner0/status"):
            assert time.monotonic() < deadline, house.errors()
        assert house.asks(DEVICE_ID, "get", "/tuner0/vchannel") == "2"
        assert house.asks(DEVICE_ID, "get", "/tuner0/vstatus").startswith("vch=2 name=")
        assert house.asks(DEVICE_ID, "set", "/tuner0/channel", "none") == "ERROR: resource locked"
        assert house.asks(DEVICE_ID, "get", "/tuner1/vchannel") == "none"


def test_ssdp_is_there_when_it_is_switched_on(house: House) -> None:
    """A search of the group finds the description, which the player can fetch."""
    house.finds()
    ip("-n", house.player, "route", "add", "239.0.0.0/8", "dev", f"{house.player}h")
    answer = in_namespace(house.player, searched)
    assert f"LOCATION: http://{BRIDGE}:3000/device.xml\r\n" in answer
    assert b"<modelName>HDHR5-4US</modelName>" in house.gets(f"http://{BRIDGE}:3000/device.xml")
