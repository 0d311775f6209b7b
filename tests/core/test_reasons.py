"""The seed's truth table: every reason, with keep-alive on and off, before and after its fix."""

import pytest
from given import first_byte, given, reported, took, tune

from events.policy import Policy
from events.reasons import ERRORS, INTENTIONAL, ReasonClass, classify, maintained

TERMINATES, MAINTAINS = "terminates", "maintains"
DELIBERATE = (TERMINATES, MAINTAINS, TERMINATES, TERMINATES)
ERROR = (MAINTAINS, MAINTAINS, MAINTAINS, MAINTAINS)
OTHER = (TERMINATES, MAINTAINS, TERMINATES, MAINTAINS)

TRUTH = {
    "disconnect": DELIBERATE,
    "client_disconnect": DELIBERATE,
    "manual": DELIBERATE,
    "user_requested": DELIBERATE,
    "shutdown": DELIBERATE,
    "forced": DELIBERATE,
    "orphaned": DELIBERATE,
    "stale": DELIBERATE,
    "ffmpeg_error": ERROR,
    "stream_failed": ERROR,
    "process_closed": ERROR,
    "timeout": ERROR,
    "restart_error": ERROR,
    "restart_failed": ERROR,
    "response_invalid": ERROR,
    "response_closed": ERROR,
    "response_invalid_during_restart": ERROR,
    "restart_limit_exceeded": OTHER,
    "auto_cleanup_stale": OTHER,
    "admin": OTHER,
    "any_other_string": OTHER,
}
"""Columns: before the fix with keep-alive off and on, after it with keep-alive off and on."""

COLUMNS = [
    Policy(enhanced_cleanup_disabled=before, keep_alive=keep_alive)
    for before in (True, False)
    for keep_alive in (False, True)
]

CASES = [
    pytest.param(
        reason,
        policy,
        outcome,
        id=f"{reason}, {'before' if policy.enhanced_cleanup_disabled else 'after'} the fix, "
        f"SESSION_KEEP_ALIVE={str(policy.keep_alive).lower()}: {outcome}",
    )
    for reason, row in TRUTH.items()
    for policy, outcome in zip(COLUMNS, row, strict=True)
]


@pytest.mark.parametrize(("reason", "policy", "outcome"), CASES)
def test_the_seeds_truth_table(reason: str, policy: Policy, outcome: str) -> None:
    """`maintained = not intentional and (is_error or SESSION_KEEP_ALIVE)`, exactly; before the
    fix: `is_error or SESSION_KEEP_ALIVE`."""
    assert maintained(reason, policy) is (outcome == MAINTAINS)


@pytest.mark.parametrize(("reason", "policy", "outcome"), CASES)
def test_a_session_that_was_sent_bytes_follows_the_table(
    reason: str, policy: Policy, outcome: str
) -> None:
    """The rule decides for every disconnect once the first byte was sent, and is recorded."""
    story = given(policy).after(tune("s1"), first_byte(second=1), took("s1", 1, second=1))
    end = story.when(reported("s1", reason, second=2)).payload(0)
    assert story.state("s1") == ("recovering" if outcome == MAINTAINS else "ended")
    assert end["maintained"] is (outcome == MAINTAINS)
    assert end["intentional"] is (reason in INTENTIONAL)
    assert end["keep_alive"] is policy.keep_alive


@pytest.mark.parametrize(("reason", "policy", "outcome"), CASES)
def test_nothing_is_kept_before_the_first_byte(reason: str, policy: Policy, outcome: str) -> None:
    """A session that was sent nothing ends under every policy."""
    story = given(policy).after(tune("s1"))
    assert story.when(reported("s1", reason, second=2)).payload(0)["maintained"] is False
    assert story.state("s1") == "ended"


def test_the_table_names_the_whole_vocabulary() -> None:
    """Eight deliberate words and nine errors, none of them missing from the table."""
    assert (len(INTENTIONAL), len(ERRORS)) == (8, 9)
    assert set(TRUTH) >= INTENTIONAL | ERRORS


@pytest.mark.parametrize(
    ("reason", "class_"),
    [
        *((word, ReasonClass.INTENTIONAL) for word in sorted(INTENTIONAL)),
        *((word, ReasonClass.ERROR) for word in sorted(ERRORS)),
        ("admin", ReasonClass.OTHER),
        ("", ReasonClass.OTHER),
    ],
)
def test_every_word_has_one_class(reason: str, class_: ReasonClass) -> None:
    """Three classes; whatever is in no list is `other`."""
    assert classify(reason) is class_
