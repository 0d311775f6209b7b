"""Which guide channel belongs to which lineup channel. Pure, and linear in both.

Exact id; else the id without regard to case; else the name as `names` compares it; else the one
most similar name, if it is alone and similar enough. The first three are sure; a similar one is
taken only where no guide has a sure one, which is for the caller to see to. What a person chose
goes before all of it; where this guide does not have that, it is looked for as any other.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from rapidfuzz import fuzz, process

from plexbridge.lineup.guide.job import SURE, Wanted
from plexbridge.lineup.guide.names import country_of, name_key

How = Literal["chosen", "id", "id_case", "name", "similar"]

CHOSEN: Final = "chosen"
"""How, of a guide channel that a person named; goes before another guide's, however sure."""

SIMILAR_MIN: Final = 92
"""Of 100, on names already without quality and country: one letter of twelve."""

SIMILAR_CHARS_MIN: Final = 5
"""In shorter names one letter is another channel."""

NAMESAKES_MAX: Final = 32
"""Guide channels of one name that are looked at."""

COMPARISONS_MAX: Final = 20_000_000
"""Of similar names in one matching: some seconds. What is left then stays without a guide."""

_PREFIX_CHARS: Final = 3
_DIGITS: Final = re.compile(r"[0-9]+|\+")

Bucket = tuple[str, tuple[str, ...]]


class Match(NamedTuple):
    """The guide channel found, and how sure that is, of 100."""

    guide_id: str
    how: How
    confidence: int


def match(wanted: Iterable[Wanted], guide: Mapping[str, Sequence[str]]) -> dict[str, Match]:
    """By lineup channel. `guide`: display names by guide channel id, in the guide's order."""
    by_case: dict[str, str] = {}
    by_name: dict[str, list[str]] = {}
    for guide_id, names in guide.items():
        by_case.setdefault(guide_id.casefold(), guide_id)
        for key in {name_key(name) for name in names}:
            namesakes = by_name.setdefault(key, [])
            if key and len(namesakes) < NAMESAKES_MAX:
                namesakes.append(guide_id)
    matches: dict[str, Match] = {}
    left: list[Wanted] = []
    for one in wanted:
        if one.chosen and not one.tvg_id:
            continue  # a person wants none
        found = _sure(one, guide, by_case, by_name)
        if found is None:
            left.append(one)
        else:
            matches[one.channel] = found
    return matches | _similar(left, by_name)


def _sure(
    one: Wanted,
    guide: Mapping[str, Sequence[str]],
    by_case: Mapping[str, str],
    by_name: Mapping[str, Sequence[str]],
) -> Match | None:
    if one.tvg_id:
        if one.tvg_id in guide:
            return Match(one.tvg_id, "chosen" if one.chosen else "id", SURE)
        folded = by_case.get(one.tvg_id.casefold())
        if folded is not None:
            return Match(folded, "chosen" if one.chosen else "id_case", SURE)
    namesakes = by_name.get(name_key(one.name))
    if not namesakes:
        return None
    return Match(_nearest(one, namesakes, guide), "name", SURE)


def _nearest(one: Wanted, namesakes: Sequence[str], guide: Mapping[str, Sequence[str]]) -> str:
    """Of several with one name: the same country's, else the same spelling's, else the first."""
    if len(namesakes) == 1:
        return namesakes[0]
    country = country_of(one.name)
    if country:
        for guide_id in namesakes:
            if guide_id.lower().endswith("." + country):
                return guide_id
    spelled = one.name.casefold()
    for guide_id in namesakes:
        if any(name.casefold() == spelled for name in guide[guide_id]):
            return guide_id
    return namesakes[0]


def _similar(left: Sequence[Wanted], by_name: Mapping[str, Sequence[str]]) -> dict[str, Match]:
    """Names are compared within a bucket only: the same beginning and the same figures."""
    buckets: dict[Bucket, list[str]] = {}
    for key, namesakes in by_name.items():
        if namesakes and len(key) >= SIMILAR_CHARS_MIN:
            buckets.setdefault(_bucket(key), []).append(key)
    found: dict[str, Match] = {}
    comparisons = 0
    for one in left:
        key = name_key(one.name)
        bucket = buckets.get(_bucket(key), [])
        if len(key) < SIMILAR_CHARS_MIN or not bucket:
            continue
        comparisons += len(bucket)
        if comparisons > COMPARISONS_MAX:
            break
        best = process.extract(key, bucket, scorer=fuzz.ratio, score_cutoff=SIMILAR_MIN, limit=2)
        if len(best) == 1 and len(by_name[best[0][0]]) == 1:
            name, score, _ = best[0]
            found[one.channel] = Match(by_name[name][0], "similar", min(int(score), SURE - 1))
    return found


def _bucket(key: str) -> Bucket:
    """`Sky Sports 1` and `Sky Sports 2` are as similar as names get, and never one channel."""
    return key[:_PREFIX_CHARS], tuple(_DIGITS.findall(key))
