"""`docs/guarantees.md` names what is there, and each guarantee can be seen to break."""

from tests.docs.named import ROOT, missing, rows
from tests.simulation.mutations import MUTATIONS

PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
GUARANTEES = {name.strip("`"): (place, test) for name, _, place, test in rows(PAGE, 4)[1:]}


def test_every_place_and_every_test_is_there() -> None:
    """A function that was renamed is renamed on the page."""
    assert missing(PAGE) == []


def test_every_guarantee_was_broken_once() -> None:
    """By a mutation that stands beside it, and the other way round."""
    guarantees = {
        name for name in GUARANTEES if not name.startswith(("what", "races", "the whole"))
    }
    named = {mutation.name for mutation in MUTATIONS}
    assert named <= guarantees
    assert {name for name, (_, test) in GUARANTEES.items() if "tests/" in test} == named


def test_a_mutation_is_noticed_by_the_test_that_the_page_names() -> None:
    """One word for both."""
    for mutation in MUTATIONS:
        assert f"`{mutation.test}`" == GUARANTEES[mutation.name][1], mutation.name


def test_what_a_mutation_changes_is_there() -> None:
    """Once in its file, so that the change is what it says."""
    for mutation in MUTATIONS:
        text = (ROOT / mutation.path).read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, f"{mutation.name}: {mutation.path} has changed"
