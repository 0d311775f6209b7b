"""What the pretend provider offers: six channels that are well, three that show what else there is,
and what is said to be on them.

Knows names and programmes; the pictures are drawn by `contrib/make_demo_clips.sh`, which burns the
same names into them. Refuses to know times of day and formats.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Show:
    """A programme that comes back, with a new episode each time."""

    title: str
    minutes: int
    category: str
    description: str


class Way(StrEnum):
    """How a channel comes."""

    PLAIN = "live"
    HLS = "hls"
    STALLS = "stalling"
    """Now and then nothing comes for some seconds."""
    FAILS = "failing"
    """Its first upstream ends now and then; a second one is well."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel and the round of shows that fills its day."""

    number: int
    name: str
    group: str
    shows: tuple[Show, ...]
    way: Way = Way.PLAIN
    clip: int = 0
    """Number of the channel whose clip it shows; 0: its own."""

    @property
    def clip_name(self) -> str:
        """The file of its clip."""
        return f"{self.clip or self.number}.ts"

    def __post_init__(self) -> None:
        assert MINUTES_PER_DAY % self.round_minutes == 0, "a day holds whole rounds"

    @property
    def tvg_id(self) -> str:
        """Its id in playlist and guide."""
        return f"{self.number}.demo"

    @property
    def round_minutes(self) -> int:
        """How long until the first show comes again."""
        return sum(show.minutes for show in self.shows)


CHANNELS = (
    Channel(
        1,
        "Harbour",
        "Scenery",
        (
            Show("Boats at Dusk", 60, "Documentary", "A red sail crosses the bay. Nobody hurries."),
            Show("The Tide Table", 30, "News", "High water, low water, and what lies between."),
            Show("Letters from the Pier", 30, "Talk", "Stories left on a bench, read aloud."),
            Show("Salt & Rope", 120, "Movie", "Two sisters, one boat, and a summer to mend both."),
        ),
    ),
    Channel(
        2,
        "Northern Lights",
        "Scenery",
        (
            Show("Curtains of Green", 90, "Documentary", "The sky above the ridge, left running."),
            Show("Polar Kitchen", 30, "Cooking", "Warm bowls for cold evenings."),
            Show("Star Almanac", 60, "Science", "What to look for tonight, and where."),
        ),
    ),
    Channel(
        3,
        "Clockwork",
        "Made by Hand",
        (
            Show("On the Hour", 30, "News", "Exactly what it says, sixty times a minute."),
            Show("Gear by Gear", 60, "Technology", "One mechanism taken apart, and put back."),
            Show("The Patient Workshop", 30, "Hobby", "A watch that stopped in 1951 starts again."),
        ),
    ),
    Channel(
        4,
        "Meadow",
        "Family",
        (
            Show("Good Morning, Beetle", 30, "Children", "Small legs, big plans."),
            Show("Cloud Spotting", 30, "Children", "That one looks like a teapot."),
            Show("Hills Passing By", 60, "Nature", "Green, then greener, then green again."),
        ),
    ),
    Channel(
        5,
        "Test Card",
        "Made by Hand",
        (
            Show("Bars and Tone", 60, "Technology", "Seven colours and a thousand hertz."),
            Show("The Sweep", 60, "Technology", "A white hand goes round in eight seconds."),
        ),
    ),
    Channel(
        6,
        "Metro",
        "City",
        (
            Show("Mind the Gap", 30, "Comedy", "Four strangers share a carriage, twice a day."),
            Show("Last Train Home", 120, "Movie", "It leaves at ten past one. She is late."),
            Show("Line by Line", 30, "Documentary", "How a map makes a city."),
        ),
    ),
)


def _also(number: int, clip: int, what: str, way: Way) -> Channel:
    """Another channel with the programmes of one of the six."""
    shown = CHANNELS[clip - 1]
    name = f"{shown.name} ({what})"
    return replace(shown, number=number, name=name, group="To Try Out", way=way, clip=clip)


TO_TRY_OUT = (
    _also(7, 1, "HLS", Way.HLS),
    _also(8, 2, "stalls now and then", Way.STALLS),
    _also(9, 6, "fails over now and then", Way.FAILS),
)
