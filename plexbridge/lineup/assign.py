"""From entries to channels: which entries are one channel, its id, and its guide number.

Pure. Entries are one channel (the later ones are its backups) when they have the same tvg-id and
name, or the same guide number and name, or, having neither, the same name and group. The same
tvg-id alone is not enough: providers give it to the SD, HD and 4K forms of a station.

Of a million entries none is held: what is known of each fits in a few numbers, and the entry itself
is looked at again when its channel is made.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from urllib.parse import urlsplit

from events.ids import ChannelId, SourceId
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.numbering import guide_number, rank
from plexbridge.lineup.redact import digest, redact
from plexbridge.relay.ports import Upstream

UPSTREAMS_MAX = 16
"""Per channel. A viewer has left before a sixteenth backup is tried; a list of one repeated name
must not make one channel of it all."""

_NO_HEADERS: MappingProxyType[str, str] = MappingProxyType({})
_MINORS = 10_001
"""Of one major number: none, and four digits."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one source lists, in its order."""

    source: SourceId
    entries: Sequence[Entry]


def assign(listings: Iterable[Listing], key: bytes) -> Lineup:
    """The lineup of all sources together; see `channels_of`."""
    return Lineup(channels_of(listings, key))


def channels_of(
    listings: Iterable[Listing], key: bytes, *, show: Callable[[str], str] = redact
) -> Iterator[Channel]:
    """The channels of all sources together, in guide order; where they list the same channel, the
    earlier source is preferred. `key` (at most 64 bytes, secret, the same at every start) keys the
    URLs' digests; `show` makes what may be shown of one.

    Numbers that playlists give are kept, the first to ask for one has it; every other channel gets
    the lowest free whole number, in the order of the lists.
    """
    listed = _Listed(listings)
    drafts = _Drafts(listed)
    numbers = _numbered(drafts.wanted)
    ids = _identified(listed, drafts)
    for draft in sorted(range(len(ids)), key=numbers.__getitem__):
        number = _number_text(numbers[draft])
        places = (drafts.first[draft], *drafts.more.get(draft, ()))
        entries = [listed.entry(place) for place in places]
        first = entries[0]
        yield Channel(
            id=_channel_id(ids[draft]),
            guide_number=number,
            guide_name=first.name or f"Channel {number}",
            group=first.group,
            tvg_id=first.tvg_id,
            logo=first.logo,
            upstreams=tuple(
                _upstream(listed.source(place), entry, key, show)
                for place, entry in zip(places, entries, strict=True)
            ),
        )


class _Listed:
    """All entries in one row, the preferred source's first; each has a place in it."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = tuple(listings)
        self._starts: list[int] = []
        self._count = 0
        for listing in self._listings:
            self._starts.append(self._count)
            self._count += len(listing.entries)

    def __iter__(self) -> Iterator[Entry]:
        for listing in self._listings:
            yield from listing.entries

    def at(self, places: Iterable[int]) -> Iterator[tuple[SourceId, Entry]]:
        """Sources and entries at rising places: in one reading, and so faster than one by one."""
        ahead = iter(places)
        wanted = next(ahead, None)
        place = 0
        for listing in self._listings:
            for entry in listing.entries:
                if place == wanted:
                    yield listing.source, entry
                    wanted = next(ahead, None)
                place += 1

    def entry(self, place: int) -> Entry:
        """The entry at a place."""
        at = bisect_right(self._starts, place) - 1
        return self._listings[at].entries[place - self._starts[at]]

    def source(self, place: int) -> SourceId:
        """Who lists it."""
        return self._listings[bisect_right(self._starts, place) - 1].source


class _Drafts:
    """Channels being put together: where their entries stand, and the numbers they ask for."""

    def __init__(self, listed: _Listed) -> None:
        self.first = array("I")
        """Place of the first entry, by draft."""
        self.more: dict[int, list[int]] = {}
        """Places of further upstreams; few channels have any."""
        self.wanted = array("Q")
        """Coded; 0 for none."""
        self._urls = array("q")
        """Of each entry; of equal ones only the first becomes an upstream of its channel."""
        known: dict[int, int] = {}
        """What a draft is known by. Equal texts have equal hashes, and nobody outside can find two
        others that have: they are keyed anew in each process."""
        for place, entry in enumerate(listed):
            self._urls.append(hash(entry.url))
            number = _number_code(entry.number)
            marks = _marks(entry, number)
            draft = next((known[mark] for mark in marks if mark in known), None)
            if draft is None or len(self.more.get(draft, ())) + 1 == UPSTREAMS_MAX:
                draft = len(self.first)
                self.first.append(place)
                self.wanted.append(number)
            else:
                self._add(draft, place)
            for mark in marks:
                known[mark] = draft

    def _add(self, draft: int, place: int) -> None:
        """A further upstream, unless it is the same URL once more."""
        others = (self.first[draft], *self.more.get(draft, ()))
        if all(self._urls[place] != self._urls[other] for other in others):
            self.more.setdefault(draft, []).append(place)


def _number_code(text: str) -> int:
    """A guide number as one whole number that sorts alike; 0: it is none."""
    number = guide_number(text) if text else None
    if number is None:
        return 0
    major, minor = rank(number)
    return major * _MINORS + minor + 1


def _number_text(code: int) -> str:
    major, minor = divmod(code, _MINORS)
    return f"{major}.{minor - 1}" if minor else str(major)


def _marks(entry: Entry, number: int) -> list[int]:
    """What another entry must share with this one to be a further upstream of its channel."""
    marks = []
    if entry.tvg_id:
        marks.append(hash(("id", entry.tvg_id, entry.name)))
    if number and entry.name:
        marks.append(hash(("number", number, entry.name)))
    if not marks and entry.name:
        marks.append(hash(("name", entry.name, entry.group)))
    return marks


def _numbered(wanted: "array[int]") -> "array[int]":
    """A number for each draft, coded."""
    numbers = array("Q", bytes(8 * len(wanted)))
    taken: set[int] = set()
    for draft, code in enumerate(wanted):
        if code and code not in taken:
            taken.add(code)
            numbers[draft] = code
    free = _MINORS
    for draft, code in enumerate(numbers):
        if code:
            continue
        while free in taken:
            free += _MINORS
        numbers[draft] = free
        free += _MINORS
    return numbers


def _identified(listed: _Listed, drafts: _Drafts) -> "array[int]":
    """An id for each draft. Of several known by the same, the first by name keeps the plain id and
    the others are told apart by name, number and group: the order of the list has no say, until
    even these are the same and only counting is left."""
    ids = array("Q", bytes(8 * len(drafts.first)))
    same: dict[int, int | list[int]] = {}
    for draft, (source, entry) in enumerate(listed.at(drafts.first)):
        made = _hashed(_base(source, entry))
        held = same.setdefault(made, draft)
        if isinstance(held, list):
            held.append(draft)
        elif held != draft:
            same[made] = [held, draft]
    taken: set[int] = set()
    times: dict[str, int] = {}
    for made, held in same.items():
        if isinstance(held, int) and made not in taken:
            taken.add(made)
            ids[held] = made
            continue
        several = [held] if isinstance(held, int) else held
        twins = sorted((_twin(listed, drafts, draft), draft) for draft in several)
        for at, (twin, draft) in enumerate(twins):
            place = drafts.first[draft]
            base = _base(listed.source(place), listed.entry(place))
            text = base if at == 0 else "\0".join((base, *twin))
            made = _hashed(text)
            while made in taken:
                times[text] = times.get(text, 1) + 1
                made = _hashed(f"{text}\0{times[text]}")
            taken.add(made)
            ids[draft] = made
    return ids


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


def _twin(listed: _Listed, drafts: _Drafts, draft: int) -> tuple[str, str, str]:
    """What tells it from others that are known by the same."""
    first = listed.entry(drafts.first[draft])
    wanted = drafts.wanted[draft]
    return first.name, _number_text(wanted) if wanted else "", first.group


def _hashed(text: str) -> int:
    made = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(made, "big")


def _channel_id(number: int) -> ChannelId:
    return ChannelId(f"{number:016x}")


def _upstream(source: SourceId, entry: Entry, key: bytes, show: Callable[[str], str]) -> Upstream:
    return Upstream(
        source=source,
        url=entry.url,
        headers=MappingProxyType(dict(entry.headers)) if entry.headers else _NO_HEADERS,
        redacted=show(entry.url),
        digest=digest(entry.url, key),
    )
