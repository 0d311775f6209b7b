"""Where the parts of a session's lanes are drawn. Pure.

Time is drawn by how much happened in it: what lies between two events is as wide as the logarithm
of how long it took, or 40 minutes of watching would leave no room for the tenth of a second in
which a session began.
"""

from collections.abc import Iterable
from itertools import pairwise, zip_longest
from math import log1p
from typing import Any, Final

from plexbridge.web.wording import lasted

SHORT_MS: Final = 50
"""Below this, twice as long is drawn about twice as wide; above, ever less."""

WIDTH_MIN: Final = 0.12
"""Between any two moments, so that they are seen apart."""

TICK_APART: Final = 13.0
"""Per cent between two labels of the axis, so that they do not touch."""

WORDS_WIDE: Final = 18.0
"""Per cent of a lane that the words of a mark may take."""


def drawn(lanes: dict[str, Any]) -> dict[str, Any]:
    """Lanes with places in per cent of their width, and an axis: `{lanes, ticks}`."""
    start, end = lanes["from"], lanes["to"]
    parts = [part for lane in lanes["lanes"] for part in lane["parts"]]
    moments = sorted({start, end, *(part["from"] for part in parts), *(p["to"] for p in parts)})
    places = _places(moments)
    return {
        "lanes": [
            {
                "name": lane["name"],
                "count": lane["count"],
                "spans": [_placed(part, places) for part in lane["parts"] if _lasts(part)],
                "marks": _marks([part for part in lane["parts"] if not _lasts(part)], places),
            }
            for lane in lanes["lanes"]
        ],
        "ticks": _ticks(moments, places, start),
    }


def _places(moments: list[int]) -> dict[int, float]:
    widths = [WIDTH_MIN + log1p((after - before) / SHORT_MS) for before, after in pairwise(moments)]
    whole = sum(widths) or 1.0
    places, at = {moments[0]: 0.0}, 0.0
    for moment, width in zip(moments[1:], widths, strict=True):
        at += width
        places[moment] = 100 * at / whole
    return places


def _lasts(part: dict[str, Any]) -> bool:
    return bool(part["to"] > part["from"])


def _placed(part: dict[str, Any], places: dict[int, float]) -> dict[str, Any]:
    left, right = places[part["from"]], places[part["to"]]
    return {
        **part,
        "x": f"{left:.2f}%",
        "width": f"{right - left:.2f}%",
        "lasted": lasted(part["to"] - part["from"]),
    }


def _marks(parts: list[dict[str, Any]], places: dict[int, float]) -> list[dict[str, Any]]:
    """Each with its words where there is room for them before the next one, or before the end."""
    marks: list[dict[str, Any]] = []
    for part, following in zip_longest(parts, parts[1:]):
        place = places[part["from"]]
        room = (100.0 if following is None else places[following["from"]]) - place
        before = place - (places[marks[-1]["from"]] if marks else 0.0)
        side = "start" if room >= WORDS_WIDE else None
        if side is None and following is None and before >= WORDS_WIDE:
            side = "end"
        marks.append({**_placed(part, places), "side": side})
    return marks


def _ticks(moments: Iterable[int], places: dict[int, float], start: int) -> list[dict[str, Any]]:
    ticks: list[dict[str, Any]] = []
    for moment in moments:
        place = places[moment]
        if not ticks or (place - ticks[-1]["place"] >= TICK_APART and place <= 100 - TICK_APART):
            ticks.append({"place": place, "x": f"{place:.2f}%", "text": lasted(moment - start)})
    last = max(places)
    if last > start:
        ticks.append({"place": 100.0, "x": "100%", "text": lasted(last - start)})
    return ticks
