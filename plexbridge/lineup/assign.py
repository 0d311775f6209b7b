"""From entries to channels: which entries are one channel, its id, and its guide number.

Pure. Entries are one channel (the later ones are its backups) when they have the same tvg-id and
name, or the same guide number and name, or, having neither, the same name and group. The same
tvg-id alone is not enough: providers give it to the SD, HD and 4K forms of a station.

Of a million entries none is held: what is known of each fits in a few numbers, and the entry itself
is looked at again when its channel is made.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

from events.ids import SourceId
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.given_numbers import GivenNumbers, Wishes, numbers_for, remember
from plexbridge.lineup.m3u import Entry
from plexbridge.lineup.numbering import code, guide_number, text_of
from plexbridge.lineup.packing import Packing, Parts
from plexbridge.lineup.redact import digest

UPSTREAMS_MAX = 16
"""Per channel. A viewer has left before a sixteenth backup is tried; a list of one repeated name
must not make one channel of it all."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one source lists, in its order."""

    source: SourceId
    entries: Sequence[Entry]
    counted: bool = False
    """Whether its numbers only count its entries, as a panel's do: one that goes changes those of
    all that follow."""
    account: SourceId | None = None
    """Whose connections its upstreams take, where that is another source of the same account."""

    @property
    def counts_as(self) -> SourceId:
        """Whose connections its upstreams take."""
        return self.account or self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What must stay as it was: the numbers, at a refresh."""

    given: GivenNumbers = field(default_factory=GivenNumbers)
    edited: Mapping[int, int] = field(default_factory=dict)
    """Codes of numbers that people chose, and ids of the channels they are for."""
    today: int = 0
    """Days since 1970."""


def assign(listings: Iterable[Listing], key: bytes) -> Lineup:
    """The lineup of all sources together; see `Assignment`."""
    return Lineup.of_parts(Assignment(listings, Before()).parts(key))


class Assignment:
    """The channels of all sources together; where they list the same channel, the earlier source is
    preferred."""

    def __init__(self, listings: Iterable[Listing], before: Before) -> None:
        """Decide which entries are one channel, and its id and number: see `numbers_for`."""
        self._listed = _Listed(listings)
        self._drafts = _Drafts(self._listed)
        self._ids = _identified(self._listed, self._drafts)
        wishes = Wishes(ids=self._ids, said=self._drafts.wanted, counted=self._drafts.counted)
        self._numbers = numbers_for(wishes, before.given, before.edited)
        self.given = remember(wishes, self._numbers, before.given, before.today)
        """For the next one."""

    def parts(self, key: bytes) -> Parts:
        """The channels, packed in guide order. `key` (at most 64 bytes, secret, the same at every
        start) keys the URLs' digests."""
        packing = Packing()
        listed, drafts = self._listed, self._drafts
        for draft in sorted(range(len(self._ids)), key=self._numbers.__getitem__):
            place, number = drafts.first[draft], self._numbers[draft]
            listing, first = listed.at(place)
            upstreams = [(listing.counts_as, first.url, first.headers, digest(first.url, key))]
            for place in drafts.more.get(draft, ()):
                listing, entry = listed.at(place)
                upstreams.append(
                    (listing.counts_as, entry.url, entry.headers, digest(entry.url, key))
                )
            name = first.name or f"Channel {text_of(number)}"
            texts = (name, first.group, first.tvg_id, first.logo)
            packing.add(self._ids[draft], number, texts, upstreams)
        return packing.parts()


class _Listed:
    """All entries in one row, the preferred source's first; each has a place in it."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = tuple(listings)
        self._starts: list[int] = []
        self._count = 0
        for listing in self._listings:
            self._starts.append(self._count)
            self._count += len(listing.entries)

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._listings)

    def at(self, place: int) -> tuple[Listing, Entry]:
        """The entry at a place, and the listing it is of."""
        at = bisect_right(self._starts, place) - 1
        listing = self._listings[at]
        return listing, listing.entries[place - self._starts[at]]


class _Drafts:
    """Channels being put together: where their entries stand, and the numbers they ask for."""

    def __init__(self, listed: _Listed) -> None:
        self.first = array("I")
        """Place of the first entry, by draft."""
        self.more: dict[int, list[int]] = {}
        """Places of further upstreams; few channels have any."""
        self.wanted = array("Q")
        """Codes of numbers; 0 for none."""
        self.counted = bytearray()
        """1 where a list only counts."""
        self.known_by = array("Q")
        """Digests of what each is known by, from one refresh to the next."""
        self._urls = array("q")
        """Of each entry; of equal ones only the first becomes an upstream of its channel."""
        known: dict[int, int] = {}
        """What a draft is known by. Equal texts have equal hashes, and nobody outside can find two
        others that have: they are keyed anew in each process."""
        for listing in listed:
            for entry in listing.entries:
                self._take(listing, entry, known)

    def _take(self, listing: Listing, entry: Entry, known: dict[int, int]) -> None:
        place = len(self._urls)
        self._urls.append(hash(entry.url))
        number = _number_code(entry.number) if entry.number else 0
        marks = _marks(entry, number)
        draft = None
        for mark in marks:
            if mark in known:
                draft = known[mark]
                break
        if draft is None or len(self.more.get(draft, ())) + 1 == UPSTREAMS_MAX:
            draft = len(self.first)
            self.first.append(place)
            self.wanted.append(number)
            self.counted.append(listing.counted)
            self.known_by.append(_hashed(_base(listing, entry)))
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
    """Of a guide number as lists write it; 0: it is none."""
    number = guide_number(text)
    return 0 if number is None else code(number)


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


def _identified(listed: _Listed, drafts: _Drafts) -> "array[int]":
    """An id for each draft. Of several known by the same, the first by name keeps the plain id and
    the others are told apart by name, number and group: the order of the list has no say, until
    even these are the same and only counting is left."""
    ids = array("Q", bytes(8 * len(drafts.first)))
    same: dict[int, int | list[int]] = {}
    for draft, made in enumerate(drafts.known_by):
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
            base = _base(*listed.at(place))
            text = base if at == 0 else "\0".join((base, *twin))
            made = _hashed(text)
            while made in taken:
                times[text] = times.get(text, 1) + 1
                made = _hashed(f"{text}\0{times[text]}")
            taken.add(made)
            ids[draft] = made
    return ids


def _base(listing: Listing, entry: Entry) -> str:
    """What a channel is known by from one refresh to the next, kind first. Never a URL's login:
    of the URL only the end of the path, and only where the list says nothing else."""
    if entry.tvg_id:
        return f"{listing.source}\0id\0{entry.tvg_id}"
    if entry.name:
        return f"{listing.source}\0name\0{entry.name}"
    try:
        path = urlsplit(entry.url).path
    except ValueError:
        path = ""
    return f"{listing.source}\0path\0{path.rpartition('/')[2]}"


def _twin(listed: _Listed, drafts: _Drafts, draft: int) -> tuple[str, str, str]:
    """What tells it from others that are known by the same."""
    _, first = listed.at(drafts.first[draft])
    wanted = drafts.wanted[draft]
    return first.name, text_of(wanted) if wanted else "", first.group


def _hashed(text: str) -> int:
    made = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(made, "big")
