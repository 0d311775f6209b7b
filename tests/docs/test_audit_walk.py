"""The walk through one bad night says what the commands say."""

import os

import pytest

from tests.docs.audit_walk import PAGE, page


def test_the_page_is_what_the_commands_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m tests.docs.audit_walk` writes it anew."""
    for name in list(os.environ):
        if name.startswith("PLEXBRIDGE_") or name == "PORT":
            monkeypatch.delenv(name)
    assert page() == PAGE.read_text()
