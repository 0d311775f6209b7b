"""What a worker is asked to do with a guide, and what it says of it. Data only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SURE: Final = 100
"""Confidence in a match that is no guess."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lineup channel that wants a guide."""

    channel: str
    """Its id in the lineup."""
    tvg_id: str
    name: str
    chosen: bool = False
    """Whether a person chose the guide channel, or that there is none (an empty `tvg_id`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be read, for whom, and where to."""

    source: Path
    into: Path
    """Made anew; whatever was there is gone."""
    wanted: Sequence[Wanted]
    begin: int
    """Programmes that end before it are not kept; seconds since 1970."""
    end: int
    """Programmes that begin after it are not kept."""
    about: dict[str, Any]
    """Kept with the guide as it is."""


@dataclass(slots=True)
class Figures:
    """What a guide held, and what was kept of it."""

    channels: int = 0
    programmes: int = 0
    """In the guide, all of them."""
    kept: int = 0
    outside: int = 0
    """Of channels wanted, but too old or too far off."""
    odd: int = 0
    """Without a title, a channel or a time that can be read."""
    matched: int = 0
    """Lineup channels that have a guide channel."""
    latest: int = 0
    """When its last programme begins; seconds since 1970."""
    bytes: int = 0
    """As it came, compressed or not."""
    digest: str = ""
    """16 hex digits that differ whenever what is kept does."""
    seconds: float = 0.0
    peak_kib: int = 0
    """Resident memory of the worker at its highest."""
