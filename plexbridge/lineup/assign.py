"""From entries to channels: which entries are one channel, its id, and its guide number.

Pure. Entries are one channel (the later ones are its backups) when they have the same tvg-id and
name, or the same guide number and name, or, having neither, the same name and group. The same
tvg-id alone is not enough: providers give it to the SD, HD and 4K forms of a station.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from urllib.parse import urlsplit

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.numbering import FreeNumbers, guide_number
from plexbridge.lineup.redact import digest, redact
from plexbridge.relay.ports import Upstream

UPSTREAMS_MAX = 16
"""Per channel. A viewer has left before a sixteenth backup is tried; a list of one repeated name
must not make one channel of it all."""

_NO_HEADERS: MappingProxyType[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Listing:
    """What one source lists, in its order."""

    source: SourceId
    entries: Sequence[Entry]


class _Draft:
    """A channel being put together: what its first entry says, and who else can serve it."""

    __slots__ = ("first", "number", "source", "upstreams", "wanted")

    def __init__(self, source: SourceId, first: Entry, wanted: str | None) -> None:
        self.source = source
        self.first = first
        self.wanted = wanted
        self.number = ""
        self.upstreams: tuple[tuple[SourceId, Entry], ...] = ((source, first),)

    def add(self, source: SourceId, entry: Entry) -> None:
        """A further upstream, unless it is the same URL once more."""
        if all(entry.url != other.url for _, other in self.upstreams):
            self.upstreams += ((source, entry),)

    def twin(self) -> tuple[str, str, str]:
        """What tells it from others that are known by the same."""
        return self.first.name, self.wanted or "", self.first.group


def assign(listings: Iterable[Listing], key: bytes) -> Lineup:
    """The lineup of all sources together; where they list the same channel, the earlier source is
    preferred. `key` (at most 64 bytes, secret, the same at every start) keys the URLs' digests.

    Numbers that playlists give are kept, the first to ask for one has it; every other channel gets
    the lowest free whole number, in the order of the lists.
    """
    drafts = _drafted(listings)
    _number(drafts)
    ids = _identified(drafts)
    return Lineup(
        Channel(
            id=ids[index],
            guide_number=draft.number,
            guide_name=draft.first.name or f"Channel {draft.number}",
            group=draft.first.group,
            tvg_id=draft.first.tvg_id,
            logo=draft.first.logo,
            upstreams=tuple(_upstream(source, entry, key) for source, entry in draft.upstreams),
        )
        for index, draft in enumerate(drafts)
    )


def _drafted(listings: Iterable[Listing]) -> list[_Draft]:
    drafts: list[_Draft] = []
    known: dict[str, _Draft] = {}
    for listing in listings:
        for entry in listing.entries:
            number = guide_number(entry.number)
            marks = _marks(entry, number)
            draft = next((known[mark] for mark in marks if mark in known), None)
            if draft is None or len(draft.upstreams) == UPSTREAMS_MAX:
                draft = _Draft(listing.source, entry, number)
                drafts.append(draft)
            else:
                draft.add(listing.source, entry)
            for mark in marks:
                known[mark] = draft
    return drafts


def _marks(entry: Entry, number: str | None) -> list[str]:
    """What another entry must share with this one to be a further upstream of its channel."""
    marks = []
    if entry.tvg_id:
        marks.append(f"id\0{entry.tvg_id}\0{entry.name}")
    if number is not None and entry.name:
        marks.append(f"number\0{number}\0{entry.name}")
    if not marks and entry.name:
        marks.append(f"name\0{entry.name}\0{entry.group}")
    return marks


def _base(source: SourceId, entry: Entry) -> str:
    """What a channel is known by from one refresh to the next, kind first. Never a URL's login:
    of the URL only the end of the path, and only where the list says nothing else."""
    if entry.tvg_id:
        return f"{source}\0id\0{entry.tvg_id}"
    if entry.name:
        return f"{source}\0name\0{entry.name}"
    try:
        path = urlsplit(entry.url).path
    except ValueError:
        path = ""
    return f"{source}\0path\0{path.rpartition('/')[2]}"


def _number(drafts: list[_Draft]) -> None:
    numbers = FreeNumbers()
    for draft in drafts:
        if draft.wanted is not None and numbers.take(draft.wanted):
            draft.number = draft.wanted
    for draft in drafts:
        if not draft.number:
            draft.number = numbers.next()


def _identified(drafts: list[_Draft]) -> list[ChannelId]:
    """An id for each draft. Of several known by the same, the first by name keeps the plain id and
    the others are told apart by name, number and group: the order of the list has no say, until
    even these are the same and only counting is left."""
    same: dict[str, list[int]] = {}
    for index, draft in enumerate(drafts):
        same.setdefault(_base(draft.source, draft.first), []).append(index)
    ids: dict[int, ChannelId] = {}
    taken: set[ChannelId] = set()
    times: dict[str, int] = {}
    for base, indices in same.items():
        if len(indices) > 1:
            indices.sort(key=lambda index: drafts[index].twin())
        for place, index in enumerate(indices):
            text = base if place == 0 else "\0".join((base, *drafts[index].twin()))
            made = _id(text)
            while made in taken:
                times[text] = times.get(text, 1) + 1
                made = _id(f"{text}\0{times[text]}")
            taken.add(made)
            ids[index] = made
    return [ids[index] for index in range(len(drafts))]


def _id(text: str) -> ChannelId:
    return ChannelId(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest())


def _upstream(source: SourceId, entry: Entry, key: bytes) -> Upstream:
    return Upstream(
        source=source,
        url=entry.url,
        headers=MappingProxyType(dict(entry.headers)) if entry.headers else _NO_HEADERS,
        redacted=redact(entry.url),
        digest=digest(entry.url, key),
    )
