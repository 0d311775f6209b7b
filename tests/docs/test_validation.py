"""`docs/validation.md` names tests that are there; the log says the lines that it promises."""

import re

import structlog

from events.commands import Command
from plexbridge.control.telling import Telling
from tests.core.given import closed, first_byte, given, opened, took, tune
from tests.core.histories import recorded
from tests.docs.named import ROOT, missing

PAGE = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")

SEED = (
    "VLC disconnect cleans up session within 5 seconds",
    "Multiple concurrent streams work correctly",
    "Dashboard updates reflect actual session state",
    "High-bitrate streams don't degrade performance",
    "WebSocket failures don't crash application",
    "Memory usage remains stable over time",
    "CPU usage appropriate for session count",
    "Log messages indicate proper operation",
    "Orphaned sessions cleaned up automatically",
    "Production environment stable after deployment",
    *("Session Count Accuracy", "Cleanup Latency", "Memory Usage", "WebSocket Errors", "CPU Usage"),
    *("Normal disconnect", "Orphaned sessions", "Force cleanup", "Race condition prevention"),
    *("Memory leak", "CPU overhead", "WebSocket reliability"),
)
"""The checklist, the monitoring points and the metrics, in the seed's words."""


def test_every_line_of_the_seed_is_walked() -> None:
    """None left out, each in its words."""
    walked = {line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines()}
    assert set(SEED) <= walked


def test_every_test_that_is_named_is_there() -> None:
    """And every place in the code."""
    assert missing(PAGE) == []


def test_the_log_lines_people_watch_for() -> None:
    """The decision with its fields, and the alarm that never sounds but for a bug."""
    commands: tuple[Command, ...] = (
        tune("s1"),
        opened(second=1),
        first_byte(second=1),
        took("s1", 9, second=1),
        closed("s1", second=2),
    )
    rows = recorded(given(linger_ms=0).after(*commands).events)
    telling = Telling()
    with structlog.testing.capture_logs() as said:
        telling.became_durable(tuple(rows))
        telling.became_durable(tuple(row for row in rows if row.dst == "ended"))
    decisions = [line for line in said if line["event"] == "Session cleanup decision"]
    assert decisions[0]["isIntentionalDisconnect"] is True
    assert decisions[0]["shouldMaintainSession"] is False
    assert decisions[0]["reason"] == "client_disconnect"
    alarms = [line for line in said if line["event"].startswith("Multiple cleanup locks")]
    assert [alarm["log_level"] for alarm in alarms] == ["error"]


def test_every_log_line_of_the_page_is_in_the_code() -> None:
    """Word for word."""
    table = PAGE.partition("## Log lines")[2].partition("## ")[0]
    for line, path in re.findall(r"^\| `([^`]+)` .* `([\w/.]+\.py)", table, re.M):
        assert line in (ROOT / path).read_text(encoding="utf-8"), line
