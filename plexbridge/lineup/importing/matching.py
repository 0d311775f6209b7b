"""Which of our channels another bridge's channel is. Pure, and linear in both.

The surest sign first: the same URL, the same guide id and name, the same guide id, the same name
and group, the same name. A sign counts only where one channel of ours is left that bears it; each
of ours is taken once. Every channel is tried by a sign before any is tried by the next.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from plexbridge.lineup.channels import Channel
from plexbridge.lineup.importing.foreign import ForeignChannel
from plexbridge.lineup.redact import digest

Sign = Literal["url", "id_and_name", "id", "name_and_group", "name"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A foreign channel and ours."""

    foreign: ForeignChannel
    ours: Channel
    sign: Sign


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A foreign channel that none of ours is for sure."""

    foreign: ForeignChannel
    why: str


@dataclass(frozen=True, slots=True)
class Matches:
    """All of them."""

    pairs: tuple[Pair, ...]
    unmatched: tuple[Unmatched, ...]


def match(foreign: Sequence[ForeignChannel], ours: Sequence[Channel], key: bytes) -> Matches:
    """Find each foreign channel among ours, as the providers list them. `key`: of the URLs'
    digests, as in `assign`."""
    free = {channel.id: channel for channel in ours}
    left: dict[int, str] = dict.fromkeys(range(len(foreign)), "no channel of ours is like it")
    pairs: dict[int, Pair] = {}
    for sign, theirs, own in _SIGNS:
        bearing: dict[str, list[Channel]] = {}
        for channel in free.values():
            for mark in own(channel):
                bearing.setdefault(mark, []).append(channel)
        for at in list(left):
            found = {
                channel.id: channel
                for mark in theirs(foreign[at], key)
                for channel in bearing.get(mark, ())
            }
            free_ones = [channel for channel in found.values() if channel.id in free]
            if len(free_ones) == 1:
                pairs[at] = Pair(foreign[at], free_ones[0], sign)
                del free[free_ones[0].id], left[at]
            elif free_ones:
                left[at] = f"{len(free_ones)} channels of ours have the same {_WORDS[sign]}"
            elif found:
                left[at] = "the channel of ours that is like it was taken by another"
    return Matches(
        tuple(pairs[at] for at in sorted(pairs)),
        tuple(Unmatched(foreign[at], why) for at, why in left.items()),
    )


_WORDS: Final[dict[Sign, str]] = {
    "url": "address",
    "id_and_name": "guide id and name",
    "id": "guide id",
    "name_and_group": "name and group",
    "name": "name",
}


def _folded(*texts: str) -> str:
    return "\0".join(" ".join(text.casefold().split()) for text in texts)


def _names(foreign: ForeignChannel) -> set[str]:
    return {name for name in (foreign.listed_name, foreign.name) if name}


def _groups(foreign: ForeignChannel) -> set[str]:
    return {group for group in (foreign.listed_group, foreign.group) if group}


def _their_urls(foreign: ForeignChannel, key: bytes) -> Iterable[str]:
    return [digest(url, key) for url in foreign.urls]


def _our_urls(ours: Channel) -> Iterable[str]:
    return {upstream.digest for upstream in ours.upstreams}


def _their_id_and_name(foreign: ForeignChannel, key: bytes) -> Iterator[str]:
    if foreign.tvg_id:
        yield from {_folded(foreign.tvg_id, name) for name in _names(foreign)}


def _our_id_and_name(ours: Channel) -> Iterator[str]:
    if ours.tvg_id:
        yield _folded(ours.tvg_id, ours.guide_name)


def _their_id(foreign: ForeignChannel, key: bytes) -> Iterator[str]:
    if foreign.tvg_id:
        yield _folded(foreign.tvg_id)


def _our_id(ours: Channel) -> Iterator[str]:
    if ours.tvg_id:
        yield _folded(ours.tvg_id)


def _their_name_and_group(foreign: ForeignChannel, key: bytes) -> Iterable[str]:
    return {_folded(name, group) for name in _names(foreign) for group in _groups(foreign)}


def _our_name_and_group(ours: Channel) -> Iterable[str]:
    return [_folded(ours.guide_name, ours.group)]


def _their_name(foreign: ForeignChannel, key: bytes) -> Iterable[str]:
    return {_folded(name) for name in _names(foreign)}


def _our_name(ours: Channel) -> Iterable[str]:
    return [_folded(ours.guide_name)]


_SIGNS: Final[
    tuple[
        tuple[
            Sign,
            Callable[[ForeignChannel, bytes], Iterable[str]],
            Callable[[Channel], Iterable[str]],
        ],
        ...,
    ]
] = (
    ("url", _their_urls, _our_urls),
    ("id_and_name", _their_id_and_name, _our_id_and_name),
    ("id", _their_id, _our_id),
    ("name_and_group", _their_name_and_group, _our_name_and_group),
    ("name", _their_name, _our_name),
)
