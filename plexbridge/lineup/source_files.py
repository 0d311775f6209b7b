"""`sources/` in the data directory: what each source listed last, and what was said of it then.

Two files a source, each replaced in one step: its entries, and the facts of their reading; a third
one where a person set options of it. They hold logins: the directory is its owner's alone.
Blocking: for threads.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from events.ids import SourceId
from plexbridge.lineup.errors import StoreUnusable
from plexbridge.lineup.guide.download import Validators
from plexbridge.lineup.source_options import SourceOptions
from plexbridge.lineup.xtream import Account
from plexbridge.private_file import read_bounded, write_private

FORM: Final = 2
"""Of both files. Another one's are not read, and the source is read anew."""

FACTS_BYTES_MAX: Final = 256 * 1024
"""Eight guides' URLs of 8 KiB, and little beside them."""

_DIRECTORY_MODE: Final = 0o700
_OPTIONS: Final = ".options"
_ENTRIES, _FACTS, _NEW, _BODY, _MORE = ".entries", ".json", ".new", ".body", ".more"
_OURS: Final = re.compile(r".+\.(?:entries|json|json\.new|new|body|more)")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]")
_REMEDY: Final = "check the data directory and its disk; the playlists are read again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of the last reading that was taken."""

    read_at: int
    """When the provider last said so, seconds since 1970: also that nothing is new."""
    entries: int
    odd_lines: int
    digest: str
    """Of the entries."""
    first_odd: tuple[tuple[int, str], ...] = ()
    """Line numbers, and what is odd about each."""
    validators: Validators = field(default_factory=Validators)
    guide_urls: tuple[str, ...] = field(default=(), repr=False)
    """May hold a login."""
    account: Account | None = None
    from_public: bool = False
    """Whether a public host listed it."""
    asked_with: str = ""
    """Mark of the headers it was asked with."""


class SourceFiles:
    """Knows the paths; reads and replaces."""

    def __init__(self, directory: Path) -> None:
        self._path = directory

    def prepare(self, sources: Iterable[SourceId]) -> None:
        """Make the directory; remove what is of other sources, or was left by a crash.

        Raises:
            StoreUnusable: it cannot be used.
        """
        kept = {f"{_name(one)}{end}" for one in sources for end in (_ENTRIES, _FACTS)}
        try:
            self._path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._path.chmod(_DIRECTORY_MODE)
            for path in self._path.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in kept:
                    path.unlink()
        except OSError as error:
            raise self._unusable(error) from error

    def entries(self, source: SourceId) -> Path:
        """What it listed."""
        return self._of(source, _ENTRIES)

    def new_entries(self, source: SourceId) -> Path:
        """What it lists now, while that is looked at."""
        return self._of(source, _NEW)

    def bodies(self, source: SourceId) -> tuple[Path, Path]:
        """Where what is read is put: the list, and what else there is to it."""
        return self._of(source, _BODY), self._of(source, _MORE)

    def load(self, source: SourceId) -> Facts | None:
        """What was kept; None where nothing was, or nothing that is of use."""
        try:
            text = read_bounded(self._of(source, _FACTS), FACTS_BYTES_MAX)
            said: dict[str, Any] = orjson.loads(text) if text else {}
            if said.pop("form", None) != FORM or not self.entries(source).is_file():
                return None
            account = said.pop("account")
            return Facts(
                validators=Validators(**said.pop("validators")),
                account=Account(**account) if account else None,
                guide_urls=tuple(said.pop("guide_urls")),
                first_odd=tuple((line, what) for line, what in said.pop("first_odd")),
                **said,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # damaged or of another form: the source is read anew

    def keep(self, source: SourceId, facts: Facts, *, new: bool) -> None:
        """Keep the facts, and with `new` the new entries: first these, for entries without their
        facts are entries still.

        Raises:
            StoreUnusable: not all of it could be kept.
        """
        try:
            if new:
                self.new_entries(source).replace(self.entries(source))
            text = orjson.dumps({"form": FORM, **asdict(facts)}).decode()
            write_private(self._of(source, _FACTS), text)
        except OSError as error:
            raise self._unusable(error) from error

    def options(self, source: SourceId) -> SourceOptions:
        """What a person set of it.

        Raises:
            StoreUnusable: something is there that cannot be read: without it the account might be
                used as nobody wants.
        """
        try:
            text = read_bounded(self._of(source, _OPTIONS), FACTS_BYTES_MAX)
            said = orjson.loads(text) if text else {}
            headers = tuple((name, value) for name, value in said.pop("headers", ()))
            return SourceOptions(**said, headers=headers)
        except OSError as error:
            raise self._unusable(error) from error
        except (ValueError, TypeError, AttributeError) as error:
            place = self._of(source, _OPTIONS)
            raise StoreUnusable(str(place), "is damaged", "remove it, and set it anew") from error

    def keep_options(self, source: SourceId, options: SourceOptions) -> None:
        """Keep what a person sets. It stays when the source goes from the settings: with a demo
        they are all gone, and come back.

        Raises:
            StoreUnusable: it could not be kept.
        """
        try:
            write_private(self._of(source, _OPTIONS), orjson.dumps(asdict(options)).decode())
        except OSError as error:
            raise self._unusable(error) from error

    def drop(self, *paths: Path) -> None:
        """Remove what was only on its way."""
        for path in paths:
            path.unlink(missing_ok=True)

    def _of(self, source: SourceId, end: str) -> Path:
        return self._path / f"{_name(source)}{end}"

    def _unusable(self, error: OSError) -> StoreUnusable:
        return StoreUnusable(str(self._path), error.strerror or "no access", _REMEDY)


def _name(source: SourceId) -> str:
    """As a file's name: ids end in a digest, so that no two become one."""
    return _UNSAFE.sub("_", source)
