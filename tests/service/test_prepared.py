"""Lineup documents given from memory: made once, anew for a new lineup, and never too many."""

import asyncio

import pytest

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.relay.ports import Upstream
from plexbridge.tuner import prepared
from plexbridge.tuner.prepared import Prepared


def lineup(count: int) -> Lineup:
    upstream = Upstream(source=SourceId("s"), url="http://h/1", redacted="", digest="0" * 16)
    return Lineup(
        Channel(
            id=ChannelId(f"{at:016x}"), guide_number=str(at), guide_name="N", upstreams=(upstream,)
        )
        for at in range(1, count + 1)
    )


class Writer:
    """Writes the same document each time, and counts."""

    def __init__(self, size: int) -> None:
        self.times = 0
        self._size = size

    def __call__(self) -> bytes:
        self.times += 1
        return bytes(self._size)


@pytest.mark.parametrize("count", [3, prepared.SHORT_CHANNELS + 1])
async def test_a_document_is_made_once_for_each_lineup_and_address(count: int) -> None:
    """Though everyone asks at once, on the loop or in a thread."""
    documents, write = Prepared(), Writer(10)
    first, second = lineup(count), lineup(count)
    for made_of in (first, second):
        asks = (documents.get(("json", "http://a", False), made_of, write) for _ in range(9))
        assert await asyncio.gather(*asks) == [bytes(10)] * 9
    await documents.get(("json", "http://b", False), second, write)
    assert write.times == 3


async def test_not_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for longest ago goes; what is too large is made each time."""
    monkeypatch.setattr(prepared, "KEPT_BYTES_MAX", 100)
    documents, write, large = Prepared(), Writer(40), Writer(101)
    made_of = lineup(1)
    for form in ("1", "2", "1", "3", "1"):
        await documents.get((form, "", False), made_of, write)
    assert write.times == 3
    await documents.get(("2", "", False), made_of, write)
    assert write.times == 4
    for _ in range(2):
        assert len(await documents.get(("4", "", False), made_of, large)) == 101
    assert large.times == 2
