"""The settings: layers, forms, and what is said when one is wrong."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.policy import Policy
from plexbridge.device_id import is_device_id, with_check_digit
from plexbridge.settings import Origin, Settings, SettingsInvalid, default_data_dir, load_settings
from plexbridge.settings_model import SETTINGS

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load from an empty data directory; `file` is the text of its `settings.toml`."""

    def loading(
        cli: dict[str, object] | None = None, *, file: str | None = None, **environ: str
    ) -> Settings:
        if file is not None:
            (tmp_path / "settings.toml").write_text(file, encoding="utf-8")
        return load_settings(cli or {}, {"PLEXBRIDGE_DATA_DIR": str(tmp_path), **environ})

    return loading


def problems(load: Load, *args: object, **environ: str) -> tuple[str, ...]:
    """What is said when loading fails."""
    with pytest.raises(SettingsInvalid) as caught:
        load(*args, **environ)
    return caught.value.problems


class TestLayers:
    def test_without_anything_given_the_defaults_of_the_design_hold(self, load: Load) -> None:
        """DESIGN 8.4, name by name."""
        settings = load()
        assert settings.port == 3000
        assert settings.session_keep_alive is False
        assert settings.auto_upgrade_to_resilient is True
        assert settings.cleanup_interval_ms == "auto"
        assert settings.activity_tracking_throttle_ms == 1_000
        assert settings.enhanced_cleanup_disabled is False
        assert settings.websocket_error_handling_disabled is False
        assert settings.session_timeout_grace_ms == 30_000
        assert settings.tuner_count == 4
        assert settings.max_concurrent_streams == 0
        assert settings.first_byte_timeout_ms == 5_000
        assert settings.activity_record_interval_ms == 10_000
        assert settings.linger_ms == 5_000
        assert settings.admission_wait_ms == 2_000
        assert settings.upstream_stall_ms == 3_000
        assert settings.policy() == Policy()

    def test_each_layer_wins_over_the_one_before_and_says_so(self, load: Load) -> None:
        """Default, then settings.toml, then environment, then command line."""
        text = "PORT = 1\nTUNER_COUNT = 1\nPLEXBRIDGE_LINGER = 1"
        settings = load({"port": 3}, file=text, PORT="2", TUNER_COUNT="2")
        assert (settings.linger_ms, settings.tuner_count, settings.port) == (1, 2, 3)
        assert settings.origins["PLEXBRIDGE_LINGER"] is Origin.FILE
        assert settings.origins["TUNER_COUNT"] is Origin.ENVIRONMENT
        assert settings.origins["PORT"] is Origin.COMMAND_LINE
        assert settings.origins["SESSION_KEEP_ALIVE"] is Origin.DEFAULT
        assert settings.origins.keys() == SETTINGS.keys()

    def test_a_value_equal_to_the_default_still_comes_from_its_layer(self, load: Load) -> None:
        """Where a value comes from is not guessed from the value."""
        assert load(PORT="3000").origins["PORT"] is Origin.ENVIRONMENT

    def test_a_default_given_in_a_later_layer_wins(self, load: Load) -> None:
        """`SESSION_KEEP_ALIVE=false` takes back what settings.toml says."""
        settings = load(file="SESSION_KEEP_ALIVE = true", SESSION_KEEP_ALIVE="false")
        assert settings.session_keep_alive is False

    def test_what_is_empty_is_not_given(self, load: Load) -> None:
        """Compose files hand over empty variables; command lines hand over None and []."""
        settings = load({"port": None, "playlist": []}, PORT="  ", DEVICE_ID="")
        assert settings.port == 3000
        assert settings.playlist == ()
        assert settings.origins["PORT"] is Origin.DEFAULT

    def test_the_data_directory_of_the_command_line_is_where_the_file_is_read(
        self, tmp_path: Path
    ) -> None:
        """`--data-dir` decides which settings.toml counts."""
        (tmp_path / "settings.toml").write_text("PORT = 4000")
        settings = load_settings({"data_dir": tmp_path}, {"PLEXBRIDGE_DATA_DIR": "/nowhere"})
        assert (settings.data_dir, settings.port) == (tmp_path, 4000)

    def test_the_environment_of_the_process_is_not_read(
        self, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only what is handed over counts, by any spelling pydantic-settings might look for."""
        monkeypatch.setenv("PORT", "9")
        monkeypatch.setenv("port", "9")
        monkeypatch.setenv("HOST", "9")
        assert load().port == 3000

    def test_settings_cannot_be_changed(self, load: Load) -> None:
        """They are read once and handed on."""
        settings = load()
        with pytest.raises(ValidationError, match="frozen"):
            settings.port = 4
        with pytest.raises(TypeError):
            settings.origins["PORT"] = Origin.FILE  # type: ignore[index]


class TestDataDirectory:
    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/plexbridge"),
            ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, "/h/.local/share/plexbridge"),
            ({"HOME": "/h"}, "/h/.local/share/plexbridge"),
        ],
    )
    def test_the_default_is_the_users_data_directory(
        self, environ: dict[str, str], expected: str
    ) -> None:
        """XDG base directories; a relative one is to be ignored."""
        assert default_data_dir(environ) == Path(expected)

    def test_a_relative_directory_is_made_absolute(self) -> None:
        """A later change of directory moves nothing."""
        settings = load_settings({"data_dir": Path("some/where")}, {})
        assert settings.data_dir == Path.cwd() / "some" / "where"

    def test_a_directory_no_file_system_has_is_refused_by_name(self) -> None:
        """Before anything is looked for in it."""
        with pytest.raises(SettingsInvalid, match=r"^PLEXBRIDGE_DATA_DIR \(environment\): "):
            load_settings({}, {"PLEXBRIDGE_DATA_DIR": "a\0b"})


class TestForms:
    @pytest.mark.parametrize("text", ["true", "TRUE", "True", "1", "yes", "Yes"])
    def test_words_for_on(self, load: Load, text: str) -> None:
        """Capitals do not matter."""
        assert load(SESSION_KEEP_ALIVE=text).session_keep_alive is True

    @pytest.mark.parametrize("text", ["false", "FALSE", "0", "no"])
    def test_words_for_off(self, load: Load, text: str) -> None:
        """Capitals do not matter."""
        assert load(AUTO_UPGRADE_TO_RESILIENT=text).auto_upgrade_to_resilient is False

    @pytest.mark.parametrize(
        ("name", "low", "high"),
        [
            ("TUNER_COUNT", 1, 1_000),
            ("MAX_CONCURRENT_STREAMS", 0, 10_000),
            ("PORT", 0, 65_535),
            ("PLEXBRIDGE_LINGER", 0, 600_000),
            ("CLEANUP_INTERVAL", 1_000, 3_600_000),
        ],
    )
    def test_a_number_is_accepted_to_both_ends_of_its_range(
        self, load: Load, name: str, low: int, high: int
    ) -> None:
        """And one step beyond either end is not."""
        field = SETTINGS[name][0]
        assert [getattr(load(**{name: str(end)}), field) for end in (low, high)] == [low, high]
        for beyond in (low - 1, high + 1):
            assert problems(load, **{name: str(beyond)})[0].startswith(f"{name} (environment): ")

    def test_the_sweep_is_automatic_or_fixed(self, load: Load) -> None:
        """`CLEANUP_INTERVAL` is a word or a number of milliseconds."""
        assert load(CLEANUP_INTERVAL="AUTO").cleanup_interval_ms == "auto"
        assert load(CLEANUP_INTERVAL="20000").cleanup_interval_ms == 20_000

    def test_playlists_are_separated_by_whitespace(self, load: Load) -> None:
        """In text; a list, of the command line or of settings.toml, is taken as it is."""
        text = "http://a/x.m3u\n  /etc/b.m3u"
        assert load(PLEXBRIDGE_PLAYLIST=text).playlist == ("http://a/x.m3u", "/etc/b.m3u")
        assert load({"playlist": ["/with space.m3u"]}).playlist == ("/with space.m3u",)
        assert load(file='PLEXBRIDGE_PLAYLIST = ["b.m3u", "b.m3u"]').playlist == ("b.m3u",)

    def test_networks_may_be_written_by_one_of_their_addresses(self, load: Load) -> None:
        """192.168.1.20/24 is the network that address is in."""
        settings = load(PLEXBRIDGE_TRUSTED_NETWORKS="192.168.1.20/24, 2001:db8::1")
        assert settings.trusted_networks == (
            ip_network("192.168.1.0/24"),
            ip_network("2001:db8::1/128"),
        )

    @pytest.mark.parametrize(
        ("address", "trusted"),
        [
            *[(inside, True) for inside in ("10.1.2.3", "172.31.0.1", "192.168.4.56", "127.0.0.1")],
            *[(inside, True) for inside in ("169.254.1.1", "::1", "fe80::1", "fd12::1")],
            *[(outside, False) for outside in ("8.8.8.8", "172.32.0.1", "2001:db8::1", "0.0.0.0")],
        ],
    )
    def test_trusted_are_private_link_local_and_loopback(
        self, load: Load, address: str, trusted: bool
    ) -> None:
        """DESIGN 8.2; nothing of the public internet."""
        networks = load().trusted_networks
        assert any(ip_address(address) in network for network in networks) is trusted

    @pytest.mark.parametrize(
        ("name", "text", "field", "value"),
        [
            ("BASE_URL", "http://10.0.0.2:3000/", "base_url", "http://10.0.0.2:3000"),
            ("DEVICE_ID", "10439efd", "device_id", "10439EFD"),
            ("FRIENDLY_NAME", " Küche ", "friendly_name", "Küche"),
            ("PLEXBRIDGE_HOST", "::", "host", "::"),
            ("PLEXBRIDGE_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ],
    )
    def test_a_value_is_brought_to_one_spelling(
        self, load: Load, name: str, text: str, field: str, value: str
    ) -> None:
        """What is stored does not depend on how it was typed."""
        assert getattr(load(**{name: text}), field) == value

    @given(st.integers(min_value=0x10, max_value=0xFFFFFFEF))
    def test_of_sixteen_last_digits_one_is_the_check_digit(self, number: int) -> None:
        """The HDHomeRun rule."""
        family = [number & 0xFFFFFFF0 | last for last in range(16)]
        assert [one for one in family if is_device_id(one)] == [with_check_digit(number)]

    @pytest.mark.parametrize(
        "good", ["1040A1B6", "105404BE", "124205A5", "10ACFCDE", "1038A145", "10500009"]
    )
    def test_device_ids_of_real_tuners_are_accepted(self, load: Load, good: str) -> None:
        """As printed on the devices."""
        assert load(DEVICE_ID=good).device_id == good


WRONG = {
    "PORT": ["99x", "-1", "65536", "3000.0", "1_000", "٣", "9" * 5_000],
    "SESSION_KEEP_ALIVE": ["on", "2", "maybe"],
    "CLEANUP_INTERVAL": ["automatic", "0", "999"],
    "PLEXBRIDGE_HOST": ["example.org", "1.2.3"],
    "PLEXBRIDGE_TRUSTED_NETWORKS": ["private", "10.0.0.0/33"],
    "BASE_URL": [
        "10.0.0.2:3000",
        "http://",
        "http://h/path",
        "http://u:p@h",
        "http://h:x",
        "ftp://h",
    ],
    "DEVICE_ID": ["PLEXTV001", "ABCD1234", "12345678", "00000000", "FFFFFFFF"],
    "FRIENDLY_NAME": ["x" * 65, "two\nlines"],
    "PLEXBRIDGE_LOG_LEVEL": ["trace"],
    "PLEXBRIDGE_LOG_FORMAT": ["xml"],
}
SECRET = {
    "PLEXBRIDGE_ADMIN_KEY": ["tooshort", "with spaces in the key", "y" * 257],
    "PLEXBRIDGE_PLAYLIST": ["ftp://user:pass@host/x", "http://?user=pass", "http://[user:pass"],
}


class TestWrongValues:
    @pytest.mark.parametrize(
        ("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts]
    )
    def test_one_line_names_the_setting_the_value_and_what_it_accepts(
        self, load: Load, name: str, text: str
    ) -> None:
        """DESIGN 8.4: a wrong value stops the start."""
        (line,) = problems(load, **{name: text})
        accepts = SETTINGS[name][1].kind.accepts.replace("`", "")
        assert line.startswith(f"{name} (environment): {repr(text)[:80]}")
        assert line.endswith(f"; it accepts {accepts}")
        assert "\n" not in line
        assert len(line) < 300

    @pytest.mark.parametrize(
        ("name", "text"), [(name, text) for name, texts in SECRET.items() for text in texts]
    )
    def test_what_may_hold_a_login_is_never_shown(self, load: Load, name: str, text: str) -> None:
        """Not even when it is wrong."""
        (line,) = problems(load, **{name: text})
        assert line.startswith(f"{name} (environment): its value is not accepted")
        assert text not in line
        assert "pass" not in line

    def test_every_wrong_setting_is_named_at_once(self, load: Load) -> None:
        """So that a person mends all of them in one go."""
        lines = problems(load, {"tuner_count": 0}, PORT="x")
        assert [line.split(":")[0] for line in lines] == [
            "PORT (environment)",
            "TUNER_COUNT (command line)",
        ]

    def test_a_wrong_check_digit_is_answered_with_the_right_one(self, load: Load) -> None:
        """ABCD1234 is what many emulators use."""
        assert "ABCD123B would be right" in problems(load, DEVICE_ID="ABCD1234")[0]


class TestFile:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("PROT = 3000", "settings.toml: unknown setting 'PROT'; did you mean PORT?"),
            ("[server]\nx = 1", "settings.toml: unknown setting 'server'"),
            ("PORT = true", "PORT (settings.toml): True is not accepted"),
            ("PORT = 3000.5", "PORT (settings.toml): 3000.5 is not accepted"),
            ("PORT = []", "PORT (settings.toml): [] is not accepted"),
            ("SESSION_KEEP_ALIVE = {}", "SESSION_KEEP_ALIVE (settings.toml): {} is not accepted"),
            ("PORT = ", "settings.toml is not a TOML file: "),
            ('PLEXBRIDGE_ADMIN_KEY = "0123456789abcdef"', "set it in the environment"),
            ('PLEXBRIDGE_DATA_DIR = "/x"', "PLEXBRIDGE_DATA_DIR is not read from this file"),
        ],
    )
    def test_what_is_wrong_in_the_file_is_said_in_one_line(
        self, load: Load, text: str, said: str
    ) -> None:
        """A wrong value, an unknown name, a broken file."""
        (line,) = problems(load, file=text)
        assert said in line
        assert "0123456789abcdef" not in line

    def test_a_file_that_is_not_text_is_said_to_be_none(self, load: Load, tmp_path: Path) -> None:
        """UTF-8 is what TOML is written in."""
        (tmp_path / "settings.toml").write_bytes(b"\xff\xfe")
        assert "is not a TOML file" in problems(load)[0]

    def test_a_file_that_cannot_be_read_is_named(self, load: Load, tmp_path: Path) -> None:
        """A directory in its place stands for every reason."""
        (tmp_path / "settings.toml").mkdir()
        assert f"{tmp_path / 'settings.toml'} cannot be read: " in problems(load)[0]


class TestShowing:
    def test_no_login_is_in_what_is_shown(self, load: Load) -> None:
        """Neither in the settings' own text nor in what pages and `doctor` show."""
        settings = load(
            PLEXBRIDGE_ADMIN_KEY="k-0123456789abcdef",
            PLEXBRIDGE_PLAYLIST="http://h/get.php?username=u&password=s3cret",
        )
        shown = repr(settings) + "".join(settings.shown(name) for name in SETTINGS)
        assert "s3cret" not in shown
        assert "0123456789abcdef" not in shown
        assert settings.admin_key is not None
        assert settings.admin_key.get_secret_value() == "k-0123456789abcdef"

    def test_other_values_are_shown_as_the_environment_would_have_them(self, load: Load) -> None:
        """One spelling everywhere; nothing for what is not set."""
        settings = load(PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.1/32 ::1/128")
        names = ("PLEXBRIDGE_UPSTREAM_ALLOW", "SESSION_KEEP_ALIVE", "PORT", "BASE_URL")
        assert [settings.shown(name) for name in names] == [
            "127.0.0.1/32 ::1/128",
            "false",
            "3000",
            "",
        ]
        assert settings.shown("PLEXBRIDGE_PLAYLIST") == ""
