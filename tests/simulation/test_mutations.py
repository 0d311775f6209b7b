"""Every guarantee, broken once: the test that stands beside it fails."""

from pathlib import Path

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, mutated


@pytest.mark.long
@pytest.mark.timeout(330)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_broken_guarantee_is_noticed(mutation: Mutation, tmp_path: Path) -> None:
    """In a copy of the tree, changed in one place."""
    assert mutated(mutation, tmp_path), f"{mutation.test} passes without it"
