"""Where a guide is read, and who said so. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GuidePlace:
    """A guide, as it is named at a moment."""

    key: str
    """Its name in our files and events."""
    location: str = field(repr=False)
    """A path or a URL: may hold a login."""
    from_public: bool = False
    """Whether a list on a public host named it, which may not lead into a private network."""
