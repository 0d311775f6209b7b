"""Which upstream is asked next, what is remembered of it, and what players see meanwhile."""

from random import Random

import pytest

from events.ids import SourceId
from plexbridge.relay.filler import NULLS, Filler
from plexbridge.relay.health import REMEMBERED_MAX, UpstreamHealth
from plexbridge.relay.mpegts import PACKET_BYTES
from plexbridge.relay.order import Order
from plexbridge.relay.pace import PACE_WINDOW_S, Pace, last_pcr
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Upstream, UpstreamFailed
from plexbridge.relay.splice import Splice, discontinuity
from plexbridge.relay.tables import TableReader, Tables
from tests.service.ts_checker import TsChecker, media_of
from tests.service.ts_maker import AUDIO_PID, GROUP, PMT_PID, VIDEO_PID, TsMaker

POLICY = RelayPolicy(backoff_first_ms=1_000, backoff_cap_ms=8_000)
REFUSED = UpstreamFailed("stream_failed", "upstream_refused")
SECOND = 27_000_000


def upstream(name: str) -> Upstream:
    return Upstream(source=SourceId("s"), url=f"http://x/{name}", redacted="http://…", digest=name)


def health() -> UpstreamHealth:
    return UpstreamHealth(POLICY, Random(1))


def order(*names: str, known: UpstreamHealth | None = None) -> Order:
    return Order([upstream(name) for name in names], known or health())


def asked(order: Order, now: float = 0.0) -> str:
    return order.next(now).upstream.digest


def test_the_preferred_upstream_is_asked_first_and_at_once() -> None:
    """Nothing is known of it: no pause."""
    choice = order("a", "b").next(5.0)
    assert (choice.upstream.digest, choice.pause_s, choice.known) == ("a", 0.0, None)


def test_an_upstream_that_brought_nothing_is_left_at_once() -> None:
    """In turn, each once; then the one that may be asked first."""
    round_ = order("a", "b", "c")
    seen = []
    for _ in range(3):
        seen.append(asked(round_))
        round_.lost(REFUSED, gave_bytes=False, steady=False, now=0.0)
    assert seen == ["a", "b", "c"]
    again = round_.next(0.0)
    assert 0.5 <= again.pause_s <= 1.0
    assert again.known is REFUSED


def test_one_that_delivered_is_reconnected_once_before_it_is_left() -> None:
    """After its back-off; when that fails too, the next one without a pause."""
    round_ = order("a", "b")
    asked(round_)
    round_.lost(REFUSED, gave_bytes=True, steady=True, now=10.0)
    back = round_.next(10.0)
    assert back.upstream.digest == "a"
    assert back.pause_s > 0
    round_.lost(REFUSED, gave_bytes=False, steady=False, now=11.0)
    assert (asked(round_, 11.0), round_.next(11.0).pause_s) == ("b", 0.0)


def test_one_that_delivers_and_breaks_again_and_again_is_left() -> None:
    """Bytes alone do not make it well; bytes for a while do."""
    round_ = order("a", "b")
    asked(round_)
    round_.lost(REFUSED, gave_bytes=True, steady=False, now=0.0)
    assert asked(round_) == "a"
    round_.lost(REFUSED, gave_bytes=True, steady=False, now=1.0)
    assert asked(round_, 1.0) == "b"


def test_an_only_upstream_backs_off() -> None:
    """There is nothing to leave it for."""
    round_ = order("a")
    pauses = []
    for _ in range(5):
        pauses.append(round_.next(0.0).pause_s)
        round_.lost(REFUSED, gave_bytes=False, steady=False, now=0.0)
    assert pauses[0] == 0
    steps = (1.0, 2.0, 4.0, 8.0)
    assert all(step / 2 <= pause <= step for pause, step in zip(pauses[1:], steps, strict=True))


def test_an_upstream_of_a_full_source_is_passed_over_for_a_while() -> None:
    """Through no fault of its own: nothing is held against it."""
    known = health()
    round_ = order("a", "b", known=known)
    asked(round_)
    round_.unavailable(until=7.0)
    assert asked(round_, 1.0) == "b"
    assert known.failures(upstream("a")) == 0
    round_.unavailable(until=9.0)
    waits = round_.next(2.0)
    assert (waits.upstream.digest, waits.pause_s) == ("a", 5.0)


def test_another_upstream_is_one_that_was_not_tried_and_may_be_asked() -> None:
    """What a relay known from before refuses is no hope for whoever waits."""
    known = health()
    known.failed(
        upstream("b"), UpstreamFailed("stream_failed", "upstream_http_403"), steady=False, now=0.0
    )
    round_ = order("a", "b", "c", known=known)
    asked(round_)
    round_.lost(REFUSED, gave_bytes=False, steady=False, now=1.0)
    assert round_.another(1.0)
    assert asked(round_, 1.0) == "c"
    round_.lost(REFUSED, gave_bytes=False, steady=False, now=1.0)
    assert not round_.another(1.0)


@pytest.mark.parametrize(
    ("detail", "at_least_s"),
    [("upstream_http_401", 300), ("upstream_http_403", 300), ("upstream_http_404", 30)],
)
def test_what_asking_again_does_not_mend_rests(detail: str, at_least_s: float) -> None:
    """For as long as the fault table says."""
    known = health()
    known.failed(upstream("a"), UpstreamFailed("stream_failed", detail), steady=False, now=50.0)
    assert known.ready_at(upstream("a")) == 50.0 + at_least_s


def test_an_upstream_that_delivers_for_a_while_is_well_again() -> None:
    """What was before is forgotten."""
    known = health()
    known.failed(upstream("a"), REFUSED, steady=False, now=0.0)
    known.well(upstream("a"))
    assert (known.failures(upstream("a")), known.last_failure(upstream("a"))) == (0, None)


def test_the_memory_of_failures_is_bounded() -> None:
    """The oldest is forgotten."""
    known = health()
    for number in range(REMEMBERED_MAX + 1):
        known.failed(upstream(str(number)), REFUSED, steady=False, now=0.0)
    assert known.failures(upstream("0")) == 0
    assert known.failures(upstream("1")) == 1


# Filler and splice


def tables(maker: TsMaker) -> Tables:
    found = TableReader().feed(maker.packets(GROUP))
    assert found is not None
    return found


def test_filler_goes_on_from_the_tables_that_were_shown() -> None:
    """No counter jumps, however long it lasts."""
    shown = tables(TsMaker(descriptor_bytes=300))
    filler = Filler(shown.pat, shown.pmt)
    stream = shown.pat + shown.pmt + b"".join(filler.next() for _ in range(40))
    assert TsChecker().feed(stream).finish() == []


def test_filler_without_tables_is_null_packets() -> None:
    """Nothing is made up."""
    assert Filler(b"", b"").next() == NULLS


def test_a_programme_names_its_streams_and_its_clock() -> None:
    """As the table does."""
    found = tables(TsMaker())
    assert (found.pcr_pid, found.video_pid) == (VIDEO_PID, VIDEO_PID)
    assert found.pids == (AUDIO_PID, VIDEO_PID)


def test_a_splice_begins_at_an_access_point_and_announces_every_counter() -> None:
    """One mark for each PID, the tables, and the stream: nothing jumps unannounced."""
    before, after = TsMaker(), TsMaker(serial=9_000)
    old = before.packets(250)
    after.packets(37)  # whoever connects comes in somewhere
    splice = Splice(until=99.0)
    joined, new = None, b""
    while joined is None:
        new += (block := after.packets(20))
        joined = splice.feed(block, 1.0)
    assert joined.tables is not None
    stream = old + joined.marks + joined.stream + after.packets(300)
    checker = TsChecker().feed(stream)
    assert checker.finish() == []
    assert len(checker.jumps) == 1
    marks = [discontinuity(pid, 0)[:3] for pid in (0, PMT_PID, AUDIO_PID, VIDEO_PID)]
    cut = [joined.marks[at : at + 3] for at in range(0, 4 * PACKET_BYTES, PACKET_BYTES)]
    assert cut == marks
    assert new.endswith(joined.stream)
    assert joined.stream[5] & 0x40, "the first packet is an access point"


def test_a_splice_waits_no_longer_than_it_may() -> None:
    """Without an access point it goes on from the beginning; the counters are announced."""
    after = TsMaker(access_points=False)
    block = after.packets(120)
    splice = Splice(until=2.0)
    assert splice.feed(block, 1.9) is None
    late = splice.feed(after.packets(1), 2.0)
    assert late is not None
    assert media_of(late.stream).startswith(media_of(block))
    assert TsChecker().feed(TsMaker().packets(99) + late.marks + late.stream).finish() == []


def test_a_splice_without_tables_gives_up_with_what_came() -> None:
    """Bytes are forwarded as they are: nothing is known of them."""
    media = media_of(TsMaker().packets(30))
    splice = Splice(until=2.0)
    assert splice.feed(media, 0.0) is None
    assert splice.feed(media, 3.0) == (b"", media + media, None)


# Pace


def seen(pace: Pace, rate: float, seconds: int, *, start: float = 0.0, first: int = 0) -> float:
    result = None
    for second in range(seconds + 1):
        pcr = round(first + second * rate * SECOND) % ((1 << 33) * 300)
        result = pace.saw(pcr, start + second)
    return -1.0 if result is None else result


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.02])
def test_pace_is_programme_seconds_per_second(rate: float) -> None:
    """Whatever the bit rate."""
    assert seen(Pace(), rate, 25) == pytest.approx(rate, rel=0.01)


def test_pace_is_unknown_before_its_window_is_full() -> None:
    """A pause of an encoder is no slow upstream."""
    assert seen(Pace(), 0.1, int(PACE_WINDOW_S) - 1) == -1.0


def test_pace_survives_the_wrap_of_the_clock() -> None:
    """After 26 hours the clock begins again at zero."""
    assert seen(Pace(), 1.0, 25, first=(1 << 33) * 300 - 10 * SECOND) == pytest.approx(1.0)


def test_a_clock_that_was_set_starts_the_measure_anew() -> None:
    """Forwards or backwards: what was before says nothing."""
    pace = Pace()
    seen(pace, 1.0, 25, first=5_000 * SECOND)
    assert pace.saw(100 * SECOND, 26.0) is None
    assert seen(pace, 1.0, 25, start=27.0, first=101 * SECOND) == pytest.approx(1.0)


def test_the_newest_clock_of_a_block_is_found() -> None:
    """On the PID that carries it."""
    block = TsMaker().packets(500)
    found = last_pcr(block, VIDEO_PID)
    assert found is not None
    assert found > 400 * PACKET_BYTES * 8 * 27_000_000 // 8_000_000
    assert last_pcr(block, AUDIO_PID) is None
    assert last_pcr(memoryview(block), VIDEO_PID) == found
