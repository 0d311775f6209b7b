"""A channel's name as it is compared: without quality, country and punctuation. Pure.

`UK: BBC One FHD`, `|UK| BBC ONE (1080p)` and `BBC One` are one channel to a guide; `BBC One +1` and
`BBC Two` are others.
"""

import re
from functools import lru_cache
from typing import Final

from plexbridge.lineup.letters import folded

NAME_CHARS_MAX: Final = 200
"""Longer is no name. Real ones have 10 to 40 characters."""

_COUNTRY: Final = re.compile(
    r"\s*(?:[|\[({\u2503\u2502]\s*([A-Za-z]{2,3})\s*[|\])}\u2503\u2502]\s*[:|-]?|([A-Z]{2,3})\s*[:|\u2503\u2502]|([A-Z]{2,3})\s+[-–—]\s)\s*"
)
_WORD: Final = re.compile(r"[^\W_]+|\+")
_QUALITY: Final = re.compile(
    r"[su]?hd|fhd|qhd|sd|[48]k|hdr|raw|hevc|[hx]26[45]|vip|backup|multi|dolby"
    r"|(?:480|576|720|1080|2160)[ip]|(?:25|50|60)fps"
)
"""Words that say how a channel is sent, not which one it is."""

_CODES: Final = {"gb": "uk", "usa": "us", "can": "ca", "deu": "de", "ger": "de", "fra": "fr",
                 "esp": "es", "ita": "it", "nld": "nl", "aus": "au"}  # fmt: skip


@lru_cache(maxsize=1024)
def name_key(name: str) -> str:
    """What two names of one channel have in common; empty when nothing is left to compare."""
    name = name[:NAME_CHARS_MAX]
    country = _COUNTRY.match(name)
    if country is not None:
        name = name[country.end() :] or name
    words = _words(name)
    kept = [word for word in words if _QUALITY.fullmatch(word) is None]
    return "".join(kept or words)


def country_of(name: str) -> str:
    """The country that a name begins with, as the ends of guide ids have it; empty for none."""
    found = _COUNTRY.match(name[:NAME_CHARS_MAX])
    if found is None:
        return ""
    code = next(group for group in found.groups() if group).lower()
    return _CODES.get(code, code)


def _words(name: str) -> list[str]:
    return _WORD.findall(folded(name).replace("&", " and "))
