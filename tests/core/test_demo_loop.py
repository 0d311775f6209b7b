"""A demo clip repeats without a seam: for a packet checker, and for ffmpeg."""

import subprocess
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import pytest

import plexbridge.demo
from plexbridge.demo.channels import CHANNELS, Channel
from plexbridge.demo.loop import LoopingClip
from plexbridge.demo.packets import ClipUnusable

CLIPS = Path(plexbridge.demo.__file__).parent / "clips"
NUMBERS = [channel.number for channel in CHANNELS]
EIGHT_SECONDS_90K = 720_000
WRAP = 1 << 33
VIDEO, AUDIO = 0x100, 0x101


def clip(number: int) -> bytes:
    return (CLIPS / f"{number}.ts").read_bytes()


class PacketChecker:
    """Reads a transport stream as a strict receiver does, and keeps what its clocks said."""

    def __init__(self) -> None:
        self.counters: dict[int, int] = {}
        self.pcrs: list[int] = []
        self.decode_times: dict[int, list[int]] = {}

    def feed(self, data: bytes) -> None:
        assert len(data) % 188 == 0
        for at in range(0, len(data), 188):
            self._packet(data[at : at + 188])

    def _packet(self, packet: bytes) -> None:
        assert packet[0] == 0x47, "sync"
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        control, counter = packet[3] >> 4 & 3, packet[3] & 15
        if pid in self.counters:
            step = control & 1
            assert counter == (self.counters[pid] + step) % 16, f"counter of PID {pid:#x}"
        self.counters[pid] = counter
        payload = packet[4:]
        if control & 2:
            payload = packet[5 + packet[4] :]
            if packet[4] and packet[5] & 0x10:
                base = int.from_bytes(packet[6:11], "big") >> 7
                extension = int.from_bytes(packet[10:12], "big") & 0x1FF
                self.pcrs.append(base * 300 + extension)
        if packet[1] & 0x40 and payload[:3] == b"\0\0\1":
            at = {2: 9, 3: 14}[payload[7] >> 6]
            field = payload[at : at + 5]
            assert field[0] & field[2] & field[4] & 1, "marker bits"
            ticks = (field[0] >> 1 & 7) << 30 | field[1] << 22 | (field[2] >> 1) << 15
            ticks |= field[3] << 7 | field[4] >> 1
            self.decode_times.setdefault(pid, []).append(ticks)

    def assert_clock_runs(self) -> None:
        for earlier, later in pairwise(self.pcrs):
            assert 0 < (later - earlier) % (WRAP * 300) < 27_000_000, "PCR step"

    def frame_lengths(self, pid: int) -> set[int]:
        return {(later - earlier) % WRAP for earlier, later in pairwise(self.decode_times[pid])}


@pytest.mark.parametrize("number", NUMBERS)
def test_fifty_loops_are_one_continuous_stream(number: int) -> None:
    """Sync, every PID's counter and the clock run on over 50 loops; every frame is 1/25 s."""
    looping, checker = LoopingClip(clip(number)), PacketChecker()
    for loop in range(50):
        checker.feed(looping.render(loop))
    checker.assert_clock_runs()
    assert checker.frame_lengths(VIDEO) == {3_600}
    assert len(checker.decode_times[VIDEO]) == 50 * 200
    assert 0 < max(checker.frame_lengths(AUDIO)) < 90_000


@pytest.mark.parametrize("number", NUMBERS)
def test_every_clip_lasts_eight_seconds_and_fits_its_budget(number: int) -> None:
    """200 frames of 1/25 s; small enough to be committed."""
    assert LoopingClip(clip(number)).duration_90k == EIGHT_SECONDS_90K
    assert len(clip(number)) <= 600_000


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_a_clip_says_its_channels_name(channel: Channel) -> None:
    """The service description in the clip and the playlist tell the same name."""
    assert channel.name.encode() in clip(channel.number)


def test_loop_zero_is_the_clip_as_it_was_made() -> None:
    """Patching by nothing changes nothing: fields are written as they were read."""
    assert LoopingClip(clip(1)).render(0) == clip(1)


def test_a_loop_moves_each_timestamp_by_its_duration() -> None:
    """One loop later everything is one duration later, the 27 MHz extension included."""
    looping = LoopingClip(clip(1))
    first, second = PacketChecker(), PacketChecker()
    first.feed(looping.render(0))
    second.feed(looping.render(1))
    assert [pcr + EIGHT_SECONDS_90K * 300 for pcr in first.pcrs] == second.pcrs
    for pid, times in first.decode_times.items():
        assert [ticks + EIGHT_SECONDS_90K for ticks in times] == second.decode_times[pid]


def test_timestamps_wrap_at_33_bits() -> None:
    """After 26.5 hours PCR and timestamps begin again at zero, without a jump."""
    looping, checker = LoopingClip(clip(1)), PacketChecker()
    around = WRAP // EIGHT_SECONDS_90K
    for loop in range(around - 2, around + 2):
        checker.feed(looping.render(loop))
    checker.assert_clock_runs()
    assert checker.frame_lengths(VIDEO) == {3_600}
    assert max(checker.decode_times[VIDEO]) > WRAP - 7_200
    assert min(checker.decode_times[VIDEO]) < 7_200


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("second", range(8))
def test_joining_gives_pat_pmt_and_a_key_frame_first(number: int, second: int) -> None:
    """Wherever one joins: PAT, PMT, random access with a clock; then no counter ever jumps."""
    looping, checker = LoopingClip(clip(number)), PacketChecker()
    position_90k = 1_000 * EIGHT_SECONDS_90K + second * 90_000 + 89_999
    pieces = list(islice(looping.play(position_90k), 300))
    first = bytes(pieces[0].packets)
    assert [int.from_bytes(first[at + 1 : at + 3], "big") & 0x1FFF for at in (0, 188, 376)] == [
        0,
        0x1000,
        VIDEO,
    ]
    assert first[376 + 5] & 0x50 == 0x50, "random access and a PCR"
    assert b"\0\0\0\1\x67" in first, "the decoder's parameters come with the key frame"
    for piece in pieces:
        checker.feed(piece.packets)
    checker.assert_clock_runs()
    assert checker.frame_lengths(VIDEO) == {3_600}
    assert pieces[0].due_90k <= position_90k < pieces[0].due_90k + 90_000
    assert all(0 < b.due_90k - a.due_90k < 45_000 for a, b in pairwise(pieces))


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (b"", "whole packets"),
        (clip(1)[:-1], "whole packets"),
        (b"\0" + clip(1)[1:], "no sync byte"),
        (clip(1)[: 188 * 10] + clip(1)[188 * 11 :], "jumps"),
        (clip(1)[188 * 3 :], "does not begin"),
        (clip(1)[:188], "no table"),
        (clip(1)[:3760], "equally long"),
    ],
)
def test_a_clip_that_cannot_loop_is_refused_by_name(broken: bytes, fault: str) -> None:
    """A damaged installation is told apart from a fault of ours, and says where."""
    with pytest.raises(ClipUnusable, match=fault):
        LoopingClip(broken)


@pytest.mark.parametrize("number", NUMBERS)
def test_ffmpeg_sees_no_seam(number: int, tmp_path: Path, tool: Callable[[str], str]) -> None:
    """Three loops, read and decoded: no warning, no continuity check failed."""
    looping = LoopingClip(clip(number))
    path = tmp_path / "three.ts"
    path.write_bytes(b"".join(looping.render(loop) for loop in range(1_000, 1_003)))

    def said(level: str, *rest: str) -> str:
        command = [
            tool("ffmpeg"),
            "-nostdin",
            "-v",
            level,
            "-i",
            str(path),
            *rest,
            "-f",
            "null",
            "-",
        ]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60
        ).stderr

    assert said("warning", "-c", "copy") == ""
    assert said("warning") == ""
    debug = said("debug", "-c", "copy")
    assert "Continuity check failed" not in debug
    assert "600 packets" in debug, "video frames of three loops"
    assert "1125 packets" in debug, "sound frames of three loops"
