"""What can be wrong with a playlist, each as one line that names the place and what to do.

The place is shown redacted: a playlist's URL is a login.
"""


class LineupError(Exception):
    """A lineup could not be had. `place` is what may be shown of where it should have come from."""

    what = "playlist"

    def __init__(self, place: str, fault: str, remedy: str) -> None:
        super().__init__(f"{self.what} {place}: {fault}; {remedy}")
        self.place = place
        self.fault = fault
        self.remedy = remedy


class PlaylistUnreadable(LineupError):
    """Nothing whole came: no such file, no such host, an HTTP status, too big, too slow."""

    def __init__(
        self,
        place: str,
        fault: str,
        remedy: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(place, fault, remedy)
        self.status = status
        """The HTTP status, where that was the fault."""
        self.retry_after_s = retry_after_s


class PlaylistEmpty(LineupError):
    """A playlist came, and it holds no channel that can be played."""


class NotAPlaylist(LineupError):
    """Something else came: a web page, an HLS stream, an archive, noise."""


class AccountRefused(LineupError):
    """The provider knows the account, and does not let it watch; or does not know the login."""

    what = "account"


class FewerThanBefore(LineupError):
    """A list came that has lost more than half of its channels: a provider's bad day, as a rule."""


class WorkerFailed(LineupError):
    """The process that reads playlists was killed, failed or took too long."""


class StoreUnusable(LineupError):
    """`lineup.db` cannot be read or written, or a newer release wrote it."""

    what = "stored lineup"


FAULTS = {
    fault.__name__: fault
    for fault in (
        PlaylistUnreadable,
        PlaylistEmpty,
        NotAPlaylist,
        AccountRefused,
        WorkerFailed,
        StoreUnusable,
    )
}
"""Those that can be told from one process to another, by name."""
