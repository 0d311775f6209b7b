"""How a source or a guide stands, in a word and a sentence, and who can mend its trouble.

Pure: judges the documents of the API. What was wrong with a reading was told in words before; here
it is only said whom they concern.
"""

from typing import Any, Final

from plexbridge.web.verdicts import Line, Verdict, judged, relative

DAY_MS: Final = 86_400_000

ENDS_SOON_MS: Final = 7 * DAY_MS
"""Time enough to renew an account, which takes a provider a day or two."""

GUIDE_SHORT_MS: Final = DAY_MS
"""A guide that ends sooner shows empty hours tonight; providers renew theirs twice a day."""

NOT_ACTIVE: Final = frozenset({"banned", "disabled", "expired"})
"""What panels say of an account that gives nothing (Xtream Codes `user_info.status`)."""

FEWER: Final = "accept fewer"
"""In the remedy of a reading that was not taken because most of the channels were gone."""

_MENDS: Final = (
    ("account ", "the account: ask its provider"),
    ("stored lineup ", "whoever runs the bridge: the data directory and its disk"),
)
_MENDS_ELSE: Final = "the provider, or the address in the settings"


def source_line(source: dict[str, Any], now: int) -> Line:
    """A source's document of the API; `now` in Unix milliseconds."""
    name, problem = source["id"], source["problem"]
    if problem is not None:
        kept = (
            "what it listed before serves"
            if source["entries"] is not None
            else "nothing of it serves"
        )
        return Line(name, Verdict.LOOK, f"{problem} ({kept})", mends(problem))
    if source["entries"] is None:
        return Line(name, Verdict.UNKNOWN, "not read yet")
    status = (source["status"] or "").strip()
    if status.lower() in NOT_ACTIVE:
        words = f"the provider says that the account is {status.lower()}"
        return Line(name, Verdict.LOOK, words, _MENDS[0][1])
    ends = source["expires_at"]
    if ends is not None and ends - now < ENDS_SOON_MS:
        told = "ended" if ends <= now else "ends"
        words = f"the account {told} {relative(ends, now)}"
        return Line(name, Verdict.LOOK, words, "whoever pays for it: renew it")
    return Line(name, Verdict.GOOD, "what it lists is in force")


def guide_line(guide: dict[str, Any], now: int) -> Line:
    """A guide's document; `now` in Unix milliseconds."""
    name, problem = guide["name"], guide["problem"]
    if problem is not None:
        kept = (
            "what was read before serves"
            if guide["programmes"] is not None
            else "nothing of it serves"
        )
        return Line(name, Verdict.LOOK, f"{problem} ({kept})", mends(problem))
    if guide["programmes"] is None:
        return Line(name, Verdict.UNKNOWN, "not read yet")
    if not guide["matched"]:
        words = "no channel of the lineup is in it"
        return Line(name, Verdict.LOOK, words, "the tvg-id of the channels, or another guide")
    return judged(
        name,
        guide["ends_at"] - now >= GUIDE_SHORT_MS,
        f"its last programme begins {relative(guide['ends_at'], now)}",
        _MENDS_ELSE,
    )


def mends(problem: str) -> str:
    """Who can mend what kept a source or a guide from being read."""
    return next((who for start, who in _MENDS if problem.startswith(start)), _MENDS_ELSE)
