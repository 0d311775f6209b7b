"""One source read anew: asked whether anything is new, fetched, taken in, and judged.

What comes of it stands in a file beside the one in force; to put it there is the caller's. Knows
both kinds of sources; refuses to know when it is time, and what other sources list.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from plexbridge.lineup.apart import take_in_apart
from plexbridge.lineup.errors import (
    AccountRefused,
    FewerThanBefore,
    LineupError,
    PlaylistUnreadable,
)
from plexbridge.lineup.fetch import Fetched, PlaylistFetcher
from plexbridge.lineup.guide.download import Validators
from plexbridge.lineup.jobs import Panel, TakeJob, TakenIn
from plexbridge.lineup.source import Source, headers_mark
from plexbridge.lineup.source_files import Facts, SourceFiles
from plexbridge.lineup.xtream import Account, Login, read_account

ACCOUNT_BYTES_MAX: Final = 1024 * 1024
"""An answer is 1 KiB; some panels send all their categories along."""

ACCOUNT_TIMEOUT_S: Final = 30.0
"""For such an answer, which panels have at hand."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source lists now."""

    facts: Facts
    changed: bool
    """Whether the new entries differ from those in force; else there is no file of them."""


class SourceReader:
    """Reads sources, one at a time for each."""

    def __init__(
        self,
        *,
        lists: PlaylistFetcher,
        accounts: PlaylistFetcher,
        files: SourceFiles,
        now_s: Callable[[], int],
    ) -> None:
        """`lists` and `accounts`: fetch each, within the bounds of each. `now_s`: seconds since
        1970."""
        self._lists = lists
        self._accounts = accounts
        self._files = files
        self._now_s = now_s

    async def read(self, source: Source, known: Facts | None, *, accept_fewer: bool) -> Reading:
        """What it lists now. `accept_fewer`: also where most of its channels are gone.

        Raises:
            LineupError: nothing that could be put in force came; nothing is left of it.
        """
        body, more = self._files.bodies(source.id)
        new = self._files.new_entries(source.id)
        keep_new = False
        try:
            if source.kind == "xtream":
                reading = await self._read_panel(source, known)
            else:
                reading = await self._read_playlist(source, known)
            if known is not None and not accept_fewer and not source.is_file:
                _check_against(known, reading.facts, source.place)
            keep_new = reading.changed
            return reading
        finally:
            gone = (body, more) if keep_new else (body, more, new)
            await asyncio.to_thread(self._files.drop, *gone)

    async def _read_playlist(self, source: Source, known: Facts | None) -> Reading:
        account = None if known is None else known.account
        refused: AccountRefused | None = None
        if source.login is not None:
            try:
                account = await self._account(source, source.login)
            except AccountRefused as error:
                refused = error
            except LineupError:
                pass  # it only tells the limits; whether it lists channels is asked next
        body, _ = self._files.bodies(source.id)
        # With other headers it may be another list; and its channels are asked with them, too.
        same = known is not None and known.asked_with == headers_mark(source.headers)
        asked_for = known.validators if known is not None and same else Validators()
        try:
            fetched = await self._lists.fetch(
                source.location, body, asked_for, dict(source.headers)
            )
            if fetched is None:
                assert known is not None, "only of what is known it is asked whether it is new"
                return Reading(replace(known, read_at=self._now_s(), account=account), False)
            taken = await take_in_apart(self._job(source, fetched.path), fetched.size_bytes)
        except LineupError:
            if refused is not None:
                raise refused from None  # why nothing came
            raise
        return self._reading(source, known, taken, account, fetched)

    async def _read_panel(self, source: Source, known: Facts | None) -> Reading:
        login = source.login
        assert login is not None, "a panel is asked with a login"
        account = await self._account(source, login)
        body, more = self._files.bodies(source.id)
        headers = dict(source.headers)
        await self._lists.fetch(login.api("get_live_categories"), more, Validators(), headers)
        fetched = await self._lists.fetch(
            login.api("get_live_streams"), body, Validators(), headers
        )
        assert fetched is not None, "it was asked without a condition"
        panel = Panel(
            base=login.base,
            user=login.user,
            password=login.password,
            extension=account.extension,
            categories=str(more),
        )
        taken = await take_in_apart(self._job(source, body, panel), fetched.size_bytes)
        return self._reading(source, known, taken, account, fetched)

    async def _account(self, source: Source, login: Login) -> Account:
        path, _ = self._files.bodies(source.id)
        await self._accounts.fetch(login.api(), path, Validators(), dict(source.headers))
        try:
            answer = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise PlaylistUnreadable(
                source.place, error.strerror or "no access", "check the data directory"
            ) from error
        return read_account(answer, source.place)

    def _job(self, source: Source, body: Path, panel: Panel | None = None) -> TakeJob:
        return TakeJob(
            body=str(body.absolute()),
            place=source.place,
            into=str(self._files.new_entries(source.id).absolute()),
            headers=source.headers,
            panel=panel,
        )

    def _reading(
        self,
        source: Source,
        known: Facts | None,
        taken: TakenIn,
        account: Account | None,
        fetched: Fetched,
    ) -> Reading:
        facts = Facts(
            read_at=self._now_s(),
            entries=taken.entries,
            odd_lines=taken.odd_lines,
            first_odd=tuple(taken.first_odd),
            digest=taken.digest,
            validators=fetched.validators,
            guide_urls=tuple(taken.guide_urls),
            account=account,
            from_public=fetched.from_public,
            asked_with=headers_mark(source.headers),
        )
        return Reading(facts, known is None or known.digest != facts.digest)


def _check_against(known: Facts, facts: Facts, place: str) -> None:
    """Half a list is more often a provider's mistake than its will."""
    if facts.entries * 2 < known.entries:
        raise FewerThanBefore(
            place,
            f"lists {facts.entries:,} channels where there were {known.entries:,}; not taken",
            "if that is meant, refresh it by hand and accept fewer",
        )
