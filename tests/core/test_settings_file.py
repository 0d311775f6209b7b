"""`settings.toml` as it is written: what was meant is what is read, and what people wrote stays."""

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexbridge.settings import SettingsInvalid, load_settings, with_file, with_values
from plexbridge.settings_change import AT_ONCE, SettingRefused, plan
from plexbridge.settings_file import (
    HEADING,
    SettingsFileUnusable,
    change_settings_file,
    edited,
    read_settings_file,
)
from plexbridge.settings_model import NOT_SHOWN, Origin, Settings

NAMES = ("TUNER_COUNT", "FRIENDLY_NAME", "PORT", "PLEXBRIDGE_PLAYLIST", "OTHER")
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.one_of(st.booleans(), st.integers(0, 10**6), TEXTS, st.lists(TEXTS, max_size=3))
BY_HAND = """# The living room
TUNER_COUNT = 4   # as many as the account allows

# what the grandchildren call it
FRIENDLY_NAME = "Telly"
"""


@given(
    before=st.dictionaries(st.sampled_from(NAMES), VALUES),
    changes=st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), VALUES), min_size=1),
)
def test_what_was_meant_is_what_is_read(
    before: dict[str, object], changes: dict[str, object]
) -> None:
    """Whatever the values are made of."""
    text = edited("", {}, before)  # type: ignore[arg-type]
    assert tomllib.loads(text) == before
    text = edited(text, before, changes)  # type: ignore[arg-type]
    wanted = {name: value for name, value in {**before, **changes}.items() if value is not None}
    assert tomllib.loads(text) == wanted


def test_what_people_wrote_beside_stays() -> None:
    """Comments and order; a new key comes behind, one that is taken out leaves nothing."""
    document = tomllib.loads(BY_HAND)
    text = edited(BY_HAND, document, {"FRIENDLY_NAME": "Box", "PORT": 5004})
    assert text == BY_HAND.replace('"Telly"', '"Box"') + "PORT = 5004\n"
    text = edited(text, tomllib.loads(text), {"FRIENDLY_NAME": None})
    assert "FRIENDLY_NAME" not in text
    assert "grandchildren" in text


@pytest.mark.parametrize(
    "before",
    [
        'FRIENDLY_NAME = """\nTUNER_COUNT = 4\n"""\nTUNER_COUNT = 3',
        'PLEXBRIDGE_PLAYLIST = [\n  "http://a/",\n]\nTUNER_COUNT = 3',
        '"TUNER_COUNT" = 3\r\nPORT = 1\r\n',
    ],
)
def test_a_file_in_another_form_comes_out_right_all_the_same(before: str) -> None:
    """Values over several lines, keys in quotes, a key inside of a text."""
    document = tomllib.loads(before)
    for value in (9, None):
        text = edited(before, document, {"TUNER_COUNT": value})
        rest = {name: was for name, was in document.items() if name != "TUNER_COUNT"}
        wanted = rest if value is None else {**rest, "TUNER_COUNT": value}
        assert tomllib.loads(text) == wanted
    listed = edited(before, document, {"PLEXBRIDGE_PLAYLIST": ["http://b/"]})
    assert tomllib.loads(listed) == {**document, "PLEXBRIDGE_PLAYLIST": ["http://b/"]}


def test_the_file_is_its_owners_alone_and_whole_or_not_written(tmp_path: Path) -> None:
    """It may hold logins. What cannot be read is not written over."""
    path = tmp_path / "settings.toml"
    change_settings_file(path, {"PORT": 5004})
    assert path.read_text() == f"{HEADING}PORT = 5004\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    change_settings_file(path, {"PORT": 5005})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_settings_file(path) == {"PORT": 5005}
    path.write_text("no toml")
    with pytest.raises(SettingsFileUnusable, match="is not a TOML file"):
        change_settings_file(path, {"PORT": 5006})
    assert path.read_text() == "no toml"
    assert [one.name for one in tmp_path.iterdir()] == ["settings.toml"]


def loaded(tmp_path: Path, cli: dict[str, object] | None = None, **environ: str) -> Settings:
    """As a start has them."""
    return load_settings(cli or {}, {"PLEXBRIDGE_DATA_DIR": str(tmp_path), **environ})


def test_a_plan_says_what_would_be_in_force_and_when(tmp_path: Path) -> None:
    """By the bridge's own reading of the value; the settings in force are left as they are."""
    now = loaded(tmp_path)
    planned = plan(now, {}, {"TUNER_COUNT": "3", "PORT": 5004, "SESSION_KEEP_ALIVE": "yes"})
    assert planned.written == {"TUNER_COUNT": 3, "PORT": 5004, "SESSION_KEEP_ALIVE": True}
    told = [(one.name, one.before, one.after, one.at_once) for one in planned.changes]
    assert told == [
        ("TUNER_COUNT", "4", "3", True),
        ("PORT", "3000", "5004", False),
        ("SESSION_KEEP_ALIVE", "false", "true", True),
    ]
    assert planned.at_once == {"TUNER_COUNT", "SESSION_KEEP_ALIVE"}
    assert now.tuner_count == 4
    live = with_values(now, planned.later, planned.at_once)
    assert (live.tuner_count, live.port, live.session_keep_alive) == (3, 3000, True)
    assert live.origins["TUNER_COUNT"] is Origin.FILE
    assert live.origins["PORT"] is Origin.DEFAULT
    back = plan(live, dict(planned.written), {"TUNER_COUNT": None})
    assert (back.later.tuner_count, back.later.port) == (4, 5004)
    assert plan(live, dict(planned.written), {"TUNER_COUNT": 3}).different == frozenset()


@pytest.mark.parametrize(
    ("name", "value", "word", "said"),
    [
        ("TUNER_COUNT", 0, "not_accepted", "a whole number from 1 to 1000"),
        ("TUNER_COUNT", True, "not_accepted", "a whole number from 1 to 1000"),
        ("TUNER_COUNT", 3.5, "not_accepted", "a whole number from 1 to 1000"),
        ("TUNER_COUNT", {}, "not_accepted", "a whole number from 1 to 1000"),
        ("DEVICE_ID", "10439EF0", "not_accepted", "its check digit is wrong"),
        ("PLEXBRIDGE_PLAYLIST", ["ftp://me:s3cret@x/"], "not_accepted", "does not accept this"),
        ("TUNERS", 3, "unknown_setting", "no setting of this name"),
        ("PLEXBRIDGE_ADMIN_PASSWORD", "password", "not_in_file", "in the environment"),
        ("FFMPEG_PATH", "/bin/sh", "by_hand", "Names a program that is run"),
        ("PORT", 80, "overridden", "PORT: Set by the environment"),
        ("PLEXBRIDGE_HOST", "::", "overridden", "Set by the command line"),
    ],
)
def test_what_cannot_be_set_is_refused_by_its_name(
    tmp_path: Path, name: str, value: object, word: str, said: str
) -> None:
    """With what it accepts, or with who sets it; a login is not repeated."""
    now = loaded(tmp_path, {"host": "127.0.0.1"}, PORT="0")
    with pytest.raises(SettingRefused) as refused:
        plan(now, {}, {"FRIENDLY_NAME": "x", name: value})
    assert (refused.value.name, refused.value.word) == (name, word)
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_file_that_is_wrong_elsewhere_is_not_made_worse(tmp_path: Path) -> None:
    """Also where the environment hides what is wrong."""
    now = loaded(tmp_path, PORT="0")
    for document in ({"PORT": 99_999}, {"PORTS": 1}, {"PLEXBRIDGE_LOG_LEVEL": "loud"}):
        with pytest.raises(SettingsInvalid):
            plan(now, document, {"TUNER_COUNT": 3})
        with pytest.raises(SettingsInvalid):
            with_file(now, document)


def test_a_login_is_never_shown(tmp_path: Path) -> None:
    """Neither before nor after; that it is another one is known."""
    now = loaded(tmp_path)
    first = plan(now, {}, {"PLEXBRIDGE_PLAYLIST": ["http://me:s3cret@x/a"]})
    assert [(one.before, one.after) for one in first.changes] == [("", NOT_SHOWN)]
    other = plan(first.later, dict(first.written), {"PLEXBRIDGE_PLAYLIST": "http://me:0ther@x/a"})
    assert [(one.before, one.after) for one in other.changes] == [(NOT_SHOWN, NOT_SHOWN)]
    assert other.different == {"PLEXBRIDGE_PLAYLIST"}
    assert "s3cret" not in repr(first)
    assert "0ther" not in repr(other.changes)


def test_every_policy_setting_of_the_design_is_taken_over_at_once() -> None:
    """Those that decide about sessions."""
    assert {
        *("SESSION_KEEP_ALIVE", "AUTO_UPGRADE_TO_RESILIENT", "ENHANCED_CLEANUP_DISABLED"),
        *("SESSION_TIMEOUT_GRACE", "CLEANUP_INTERVAL", "TUNER_COUNT", "MAX_CONCURRENT_STREAMS"),
        *("ACTIVITY_TRACKING_THROTTLE", "FRIENDLY_NAME"),
    } <= AT_ONCE
