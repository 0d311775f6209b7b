"""Every kind of upstream through a whole bridge, made by one ffmpeg and played by another."""

import contextlib
import functools
import http.server
import json
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running import RunningBridge, until

Tool = Callable[[str], str]
PLAYED_S = 4
SOURCE = (
    "-re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440 -t 60 "
    "-c:v libx264 -preset ultrafast -g 25 -b:v 400k -pix_fmt yuv420p -c:a aac -b:a 64k "
)
COPY = "-map 0 -c copy -f mpegts pipe:1"
PROBE = "-v error -show_entries stream=codec_name -of json -i -"
LIVE = "-f hls -hls_time 1 -hls_list_size 6 -hls_flags delete_segments"
KINDS = {
    "hls": f"{SOURCE} {LIVE} -hls_segment_filename t%d.ts list.m3u8",
    "fmp4": (
        f"{SOURCE} -map 0:v -map 1:a {LIVE} -hls_segment_type fmp4 -hls_fmp4_init_filename "
        "i%v.mp4 -hls_segment_filename s%v_%d.m4s -master_pl_name list.m3u8 -var_stream_map "
        '"v:0,agroup:sound a:0,agroup:sound,default:yes" m%v.m3u8'
    ),
}


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """A folder over HTTP."""

    extensions_map = {".m3u8": "application/vnd.apple.mpegurl", "": "application/octet-stream"}  # noqa: RUF012

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def files_of(folder: Path) -> Iterator[str]:
    """The address of a folder."""
    handler = functools.partial(QuietFiles, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@contextlib.contextmanager
def running(program: str, arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An ffmpeg beside the test."""
    child = subprocess.Popen(
        [program, "-hide_banner", "-v", "error", "-y", *shlex.split(arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def bridge_of(tmp_path: Path, url: str, **environment: str) -> RunningBridge:
    """A bridge with one channel."""
    playlist = tmp_path / "list.m3u"
    playlist.write_text(f'#EXTM3U\n#EXTINF:-1 tvg-chno="1" tvg-id="one",One\n{url}\n')
    environment = {"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8", **environment}
    return RunningBridge(tmp_path / "data", "--playlist", str(playlist), **environment)


def played(tool: Tool, url: str, seconds: int = PLAYED_S) -> list[dict[str, str]]:
    """What ffprobe finds in so many seconds that ffmpeg has read without a complaint."""
    recording = subprocess.run(
        [tool("ffmpeg"), *shlex.split(f"-hide_banner -v warning -i {url} -t {seconds} {COPY}")],
        capture_output=True,
        timeout=45,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert recording.returncode == 0, recording.stderr.decode()
    complaints = [line for line in recording.stderr.decode().splitlines() if "corrupt" in line]
    assert complaints == []
    probe = subprocess.run(
        [tool("ffprobe"), *shlex.split(PROBE)],
        input=recording.stdout,
        capture_output=True,
        timeout=30,
        check=True,
    )
    found: list[dict[str, str]] = json.loads(probe.stdout)["streams"]
    return found


def codecs(streams: list[dict[str, str]]) -> set[str]:
    return {stream["codec_name"] for stream in streams}


@pytest.mark.parametrize("kind", KINDS)
def test_a_live_playlist_is_one_stream(kind: str, tool: Tool, tmp_path: Path) -> None:
    """MPEG-TS segments are stitched here; others, with their sound apart, through a child."""
    folder = tmp_path / "provider"
    folder.mkdir()
    with (
        files_of(folder) as base,
        running(tool("ffmpeg"), KINDS[kind], folder),
        bridge_of(tmp_path, f"{base}/list.m3u8") as bridge,
    ):
        until("the provider is live", lambda: len(list(folder.glob("*.[tm][4s]*"))) > 4)
        until("its list is there", (folder / "list.m3u8").exists)
        assert codecs(played(tool, f"{bridge.base}/auto/v1")) == {"h264", "aac"}
        until("the session is gone", lambda: not bridge.sessions())
        until("no child is left", lambda: children(bridge) == 0)
        assert bridge.command("audit").returncode == 0


def children(bridge: RunningBridge) -> int:
    """Living children, as the kernel has them."""
    assert bridge.process is not None
    tasks = Path(f"/proc/{bridge.process.pid}/task").iterdir()
    return sum(len((task / "children").read_text().split()) for task in tasks)


def test_a_datagram_channel_is_read_through_a_child(tool: Tool, tmp_path: Path) -> None:
    """UDP; its child is gone with its last viewer."""
    port = free_port()
    arguments = f"{SOURCE} -f mpegts udp://127.0.0.1:{port}?pkt_size=1316"
    with (
        running(tool("ffmpeg"), arguments, tmp_path),
        bridge_of(tmp_path, f"udp://127.0.0.1:{port}", PLEXBRIDGE_LINGER="0") as bridge,
    ):
        assert codecs(played(tool, f"{bridge.base}/auto/v1")) == {"h264", "aac"}
        until("no child is left", lambda: children(bridge) == 0)
        assert bridge.command("audit").returncode == 0


def test_without_ffmpeg_such_channels_say_so_and_others_work(tool: Tool, tmp_path: Path) -> None:
    """The refusal, the log and the doctor name it."""
    nowhere = str(tmp_path / "no" / "ffmpeg")
    with bridge_of(tmp_path, f"udp://127.0.0.1:{free_port()}", FFMPEG_PATH=nowhere) as bridge:
        answer = subprocess.run(
            [tool("curl"), "-s", "-D", "-", "-o", "/dev/null", f"{bridge.base}/auto/v1"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
        assert " 503 " in answer
        assert "X-HDHomeRun-Error: 806" in answer
        ended = until("it is told", lambda: bridge.dashboard()["just_ended"])
        assert "ffmpeg, which is not installed" in ended[0]["words"]["text"]
        assert "ffmpeg" in bridge.command("doctor").stdout


def test_a_preview_is_transcoded_for_a_browser(tool: Tool, tmp_path: Path) -> None:
    """MPEG-2 comes out as H.264 and AAC; three at once, and the fourth is told to come later."""
    folder = tmp_path / "provider"
    folder.mkdir()
    clip = (
        "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440 -t 20 "
        "-c:v mpeg2video -b:v 800k -g 12 -c:a mp2 -b:a 128k -f mpegts clip.ts"
    )
    with running(tool("ffmpeg"), clip, folder) as making:
        assert making.wait(30) == 0
    with files_of(folder) as base, bridge_of(tmp_path, f"{base}/clip.ts") as bridge:
        channel = bridge.get("/api/channels")[0]["id"]
        url = f"{bridge.base}/streams/preview/{channel}?transcode=true"
        assert codecs(played(tool, url)) == {"h264", "aac"}
        until("no child is left", lambda: children(bridge) == 0)
        assert bridge.command("audit").returncode == 0
