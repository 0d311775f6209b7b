"""What tests share: finding the programs they play against."""

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program. Missing, it is a failure where the machine was prepared for the tests
    (`.ci/run` says so by PLEXBRIDGE_TEST_TOOLS), and elsewhere a skip with its reason."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is not None:
            return path
        if os.environ.get("PLEXBRIDGE_TEST_TOOLS") == "required":
            pytest.fail(f"{name} is not installed, and PLEXBRIDGE_TEST_TOOLS says it is required")
        pytest.skip(f"{name} is not installed")

    return find


def pytest_make_parametrize_id(val: object) -> str | None:
    """Compressed bodies hold the second they were made in: the workers of one run would not agree
    on the names of their tests."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None
