"""A policy changed while the bridge runs: what is audited and shown goes by the one in force."""

from events.commands import ChangeSettings
from events.policy import Policy
from plexbridge.audit.checks import check, promises
from projections.folding import Folding
from tests.core.given import at, linger_over, socket_gone
from tests.core.test_audit import WATCHED, history

LONG, SHORT = Policy(linger_ms=60_000), Policy(linger_ms=1_000)


def changed(second: float, policy: Policy) -> ChangeSettings:
    """Somebody saves the page of settings."""
    return ChangeSettings(at=at(second), names=("PLEXBRIDGE_LINGER",), by="admin", policy=policy)


def found(*rest: object, policy: Policy) -> list[str]:
    """What an audit says of a watched session and what follows."""
    rows = history(*WATCHED, *rest, policy=policy)  # type: ignore[arg-type]
    return [one.text for one in check(promises(), rows)]


def test_a_shorter_linger_counts_from_when_it_was_set() -> None:
    """A relay that has lingered for longer by then is not late; one that stays after that is."""
    set_then = changed(50, SHORT)
    assert found(set_then, linger_over(second=50.2), socket_gone(second=50.3), policy=LONG) == []
    [text] = found(set_then, linger_over(second=58), socket_gone(second=58.1), policy=LONG)
    assert "cleaned up in 8.10 s, 5 s are promised" in text


def test_without_a_change_a_linger_counts_from_the_end() -> None:
    """As it was before."""
    assert found(linger_over(second=80), socket_gone(second=80.1), policy=LONG) == []
    assert found(linger_over(second=86), socket_gone(second=86.1), policy=LONG)


def test_sessions_that_are_open_are_shown_with_their_new_deadlines() -> None:
    """Their rows are stored anew, or a stored one would differ from its rebuild."""
    rows = history(*WATCHED[:4], changed(5, Policy(active_idle_ms=90_000)))
    folding = Folding()
    for row in rows[:-1]:
        folding.fold(row)
    folding.shown.live.touched.clear()
    folding.fold(rows[-1])
    assert folding.shown.live.touched.keys() == {"s1"}
    [shown] = folding.shown.document()["sessions"]
    assert shown["next_deadline"]["after_ms"] == 90_000
