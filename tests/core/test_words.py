"""How an end is told to a person: one sentence, who can mend it, honest where it is not known."""

import ast
from pathlib import Path

import pytest

from plexbridge.server.media import LostHow
from projections.words import explain

ROOT = Path(__file__).parents[2]
FAILURES = {"UpstreamFailed", "OutboundFailed"}
LOGIN = "the account: login, limit or expiry"
LIMIT = "the account's connection limit"
SWEPT = "the sweep found it without a connection"


def details_in(*places: str) -> set[str]:
    """Every detail the code gives by name, as it stands there: `detail="…"`, and the second word
    of an upstream's failure."""
    found: set[str] = set()
    for path in (path for place in places for path in ROOT.glob(place)):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            values = [keyword.value for keyword in node.keywords if keyword.arg == "detail"]
            if isinstance(node.func, ast.Name) and node.func.id in FAILURES:
                values += node.args[1:2]
            constants = [value for value in values if isinstance(value, ast.Constant)]
            found |= {str(constant.value) for constant in constants}
    return found


def test_every_detail_the_code_gives_has_words() -> None:
    """Nobody is told "not known" of what we know."""
    details = details_in(
        *("events/*.py", "plexbridge/control/*.py", "plexbridge/relay/**/*.py"),
        "plexbridge/web/*.py",
        "plexbridge/outbound.py",
    )
    assert {"recovery_exhausted", "superseded", "swept", "by_admin", "reported"} <= details
    assert {"not_mpeg_ts", "upstream_eof", "upstream_dns"} <= details
    details |= {"client_stalled", "upstream_no_data", "upstream_no_answer", *LostHow}
    for detail in details:
        assert "last evidence" not in explain("some_reason", detail).text, detail


def test_a_cause_that_is_not_known_says_so_with_the_last_evidence() -> None:
    """An honest answer is better than a smooth one."""
    text = explain("some_reason", "never_heard").text
    assert text == "not known: last evidence is some_reason (never_heard)"


@pytest.mark.parametrize(
    ("reason", "detail", "text", "mends"),
    [
        ("client_disconnect", "client_reset", "Plex closed its connection", ""),
        ("orphaned", "peer_vanished", "Plex vanished without a word", "the viewer's network"),
        ("stream_failed", "upstream_http_403", "the provider said 403", LOGIN),
        ("stream_failed", "upstream_http_509", "the provider said 509", LIMIT),
        ("stream_failed", "upstream_http_500", "the provider said 500", "the provider"),
        ("orphaned", "bridge_restarted", "the bridge was killed while it ran", ""),
        ("orphaned", "swept", SWEPT, "us: this is a bug, report it"),
        ("shutdown", "by_admin", "stopped by hand", ""),
        ("gone_to_bed", "reported", "a program reported: gone_to_bed", ""),
        ("shutdown", "bridge_stopped", "the bridge was stopped", ""),
    ],
)
def test_an_end_in_words(reason: str, detail: str, text: str, mends: str) -> None:
    """One sentence, and who can mend it."""
    assert explain(reason, detail, "Plex") == (text, mends)


def test_a_player_without_a_name_is_the_player() -> None:
    """A name with braces is a name."""
    assert explain("client_disconnect", "client_closed", "").text.startswith("the player ")
    assert explain("client_disconnect", "client_closed", "{x}").text.startswith("{x} ")
