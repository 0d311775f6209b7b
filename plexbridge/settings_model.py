"""The settings themselves: every name, default, range and meaning, in one list.

Knows nothing of layers, files or the environment (`plexbridge.settings` reads those), and nothing
of what anyone does with a value. A setting has one name, the environment's, everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetCoreSchemaHandler, PrivateAttr, SecretStr
from pydantic_core import CoreSchema, core_schema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from events.policy import Policy
from plexbridge.setting_kinds import (
    ADDRESS,
    ADMIN_KEY,
    BASE_PATH,
    BASE_URL,
    DEVICE_ID,
    DIRECTORY,
    FRIENDLY_NAME,
    LOCATIONS,
    NETWORKS,
    OWN_HOSTS,
    PASSWORD,
    PROGRAM,
    SOURCES,
    Kind,
    OneOf,
    Switch,
    WholeNumber,
    WordOr,
)

SETTINGS_FILE: Final = "settings.toml"

Network = IPv4Network | IPv6Network

_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
_LINK_LOCAL = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10")))
_LOOPBACK = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))

_POLICY = Policy()


NOT_SHOWN: Final = "(set; not shown)"
"""Stands for a value that is, or may contain, a login."""


class Origin(StrEnum):
    """The layer a value came from."""

    DEFAULT = "default"
    FILE = SETTINGS_FILE
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Setting:
    """How one field is set: its name, and the kind of value it takes."""

    name: str
    kind: Kind
    secret: bool = False
    """The value is, or may contain, a login: it is never shown."""
    in_file: bool = True
    """Whether `settings.toml` may hold it."""

    def __get_pydantic_core_schema__(self, source: Any, of: GetCoreSchemaHandler) -> CoreSchema:
        """Read the value by its kind before pydantic checks the type."""
        return core_schema.no_info_before_validator_function(self.kind.read, of(source))


def _ms(low: int, high: int) -> WholeNumber:
    return WholeNumber(low, high, "ms")


class Settings(BaseSettings):
    """Every setting, checked. Frozen; durations carry their unit in the name."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=False)
    _origins: Mapping[str, Origin] = PrivateAttr(default_factory=dict)
    _layers: Any = PrivateAttr(default=())
    """What each layer gave, with logins as they are: for reading the file anew."""

    data_dir: Annotated[Path, Setting("PLEXBRIDGE_DATA_DIR", DIRECTORY, in_file=False)] = Field(
        description="where the event log, the lineup, the settings and backups are kept; without "
        "it, `$XDG_DATA_HOME/plexbridge` or `~/.local/share/plexbridge`",
    )
    host: Annotated[str, Setting("PLEXBRIDGE_HOST", ADDRESS)] = Field(
        "0.0.0.0", description="the address to listen on"
    )
    port: Annotated[int, Setting("PORT", WholeNumber(0, 65_535))] = Field(
        3000, description="the TCP port to listen on; `0` takes any free one"
    )
    second_port: Annotated[
        int | Literal["off"],
        Setting("PLEXBRIDGE_SECOND_PORT", WordOr("off", WholeNumber(1, 65_535))),
    ] = Field(
        "off",
        description="one more TCP port to listen on: `80` for Jellyfin's search for tuners and "
        "for Channels, which ask there whatever they are told",
    )
    discovery: Annotated[bool, Setting("PLEXBRIDGE_DISCOVERY", Switch())] = Field(
        True,
        description="answer players that search for HDHomeRun tuners, on port 65001 of UDP and TCP",
    )
    ssdp: Annotated[bool, Setting("PLEXBRIDGE_SSDP", Switch())] = Field(
        False,
        description="announce the tuner by SSDP (UPnP) as well; no player needs it, and it shows "
        "in lists of DLNA servers",
    )
    base_url: Annotated[str | None, Setting("BASE_URL", BASE_URL)] = Field(
        None,
        description="what players are told to connect to, where they cannot use the address "
        "they asked on",
    )
    playlist: Annotated[tuple[str, ...], Setting("PLEXBRIDGE_PLAYLIST", SOURCES, secret=True)] = (
        Field((), repr=False, description="the providers' M3U playlists and Xtream accounts")
    )
    refresh_hours: Annotated[int, Setting("PLEXBRIDGE_REFRESH", WholeNumber(0, 720, "hours"))] = (
        Field(
            12,
            description="between two readings of each playlist and account; `0`: only at a start, "
            "or when asked",
        )
    )
    guide: Annotated[tuple[str, ...], Setting("PLEXBRIDGE_GUIDE", LOCATIONS, secret=True)] = Field(
        (),
        repr=False,
        description="the programme guides (XMLTV, plain, gzip or xz), the most trusted first",
    )
    tuner_count: Annotated[int, Setting("TUNER_COUNT", WholeNumber(1, 1_000))] = Field(
        _POLICY.tuners, description="tuners: how many channels can be watched at once"
    )
    max_concurrent_streams: Annotated[
        int, Setting("MAX_CONCURRENT_STREAMS", WholeNumber(0, 10_000))
    ] = Field(_POLICY.max_sessions, description="viewing sessions at once; `0` is no bound")
    device_id: Annotated[str | None, Setting("DEVICE_ID", DEVICE_ID)] = Field(
        None,
        description="the tuner's identity to players; without it, one is made at the first "
        "start and kept",
    )
    friendly_name: Annotated[str, Setting("FRIENDLY_NAME", FRIENDLY_NAME)] = Field(
        "PlexBridge", description="the name players show for the tuner"
    )
    session_keep_alive: Annotated[bool, Setting("SESSION_KEEP_ALIVE", Switch())] = Field(
        _POLICY.keep_alive,
        description="keep a session within its grace when it was ended for a "
        "reason that is neither deliberate nor an error",
    )
    session_timeout_grace_ms: Annotated[
        int, Setting("SESSION_TIMEOUT_GRACE", _ms(100, 3_600_000))
    ] = Field(
        _POLICY.grace_ms,
        description="how long a session in trouble is kept, counted from the "
        "last byte its player accepted",
    )
    auto_upgrade_to_resilient: Annotated[bool, Setting("AUTO_UPGRADE_TO_RESILIENT", Switch())] = (
        Field(
            _POLICY.auto_upgrade,
            description="handle a session's first upstream error in full; "
            "`false`: the first one gets one plain reconnect",
        )
    )
    enhanced_cleanup_disabled: Annotated[bool, Setting("ENHANCED_CLEANUP_DISABLED", Switch())] = (
        Field(
            _POLICY.enhanced_cleanup_disabled,
            description="the clean-up rule of before the fix: "
            "`SESSION_KEEP_ALIVE` keeps sessions even after a deliberate disconnect",
        )
    )
    cleanup_interval_ms: Annotated[
        int | Literal["auto"],
        Setting("CLEANUP_INTERVAL", WordOr("auto", _ms(1_000, 3_600_000))),
    ] = Field(
        "auto",
        description="pause between two sweeps that reconcile sockets and leases with the "
        "log; `auto`: 15 s up to 10 sessions, 30 s up to 50, 60 s above",
    )
    activity_tracking_throttle_ms: Annotated[
        int, Setting("ACTIVITY_TRACKING_THROTTLE", _ms(100, 10_000))
    ] = Field(1_000, description="a session's activity is tracked at most this often")
    activity_record_interval_ms: Annotated[
        int, Setting("PLEXBRIDGE_ACTIVITY_RECORD_INTERVAL", _ms(100, 3_600_000))
    ] = Field(
        _POLICY.activity_record_ms,
        description="a session's activity is recorded in the log at most this often",
    )
    websocket_error_handling_disabled: Annotated[
        bool, Setting("WEBSOCKET_ERROR_HANDLING_DISABLED", Switch())
    ] = Field(
        False, description="end the WebSocket feed at its first failed emission; never a stream"
    )
    first_byte_timeout_ms: Annotated[
        int, Setting("PLEXBRIDGE_FIRST_BYTE_TIMEOUT", _ms(100, 60_000))
    ] = Field(
        _POLICY.first_byte_ms,
        description="how long a player waits for its first byte, all upstreams together",
    )
    upstream_stall_ms: Annotated[int, Setting("PLEXBRIDGE_UPSTREAM_STALL", _ms(100, 60_000))] = (
        Field(3_000, description="an upstream that delivers nothing for this long is lost")
    )
    linger_ms: Annotated[int, Setting("PLEXBRIDGE_LINGER", _ms(0, 600_000))] = Field(
        _POLICY.linger_ms,
        description="how long a relay outlives its last session; `0` turns it off",
    )
    admission_wait_ms: Annotated[int, Setting("PLEXBRIDGE_ADMISSION_WAIT", _ms(0, 30_000))] = Field(
        _POLICY.admission_wait_ms,
        description="how long a request waits for a tuner to be released before it is refused",
    )
    source_connections: Annotated[
        int, Setting("PLEXBRIDGE_SOURCE_CONNECTIONS", WholeNumber(0, 1_000))
    ] = Field(
        0,
        description="connections that the provider account of each playlist allows at once; `0`: "
        "not known, no bound",
    )
    source_settle_ms: Annotated[
        int, Setting("PLEXBRIDGE_SOURCE_SETTLE", WholeNumber(0, 10_000, "ms"))
    ] = Field(
        0,
        description="pause between the end of one connection to a provider and the next one, for "
        "providers that go on counting a connection that is closed",
    )
    connections_per_address: Annotated[
        int, Setting("PLEXBRIDGE_CONNECTIONS_PER_ADDRESS", WholeNumber(0, 10_000))
    ] = Field(
        64,
        description="connections open at once from one address; `0` is no bound. Loopback, where "
        "a reverse proxy may be, has none",
    )
    starts_per_second: Annotated[
        int, Setting("PLEXBRIDGE_STARTS_PER_SECOND", WholeNumber(0, 10_000))
    ] = Field(
        20,
        description="streams that one address may begin in a second; `0` is no bound. Loopback "
        "has none",
    )
    retention_days: Annotated[
        int, Setting("PLEXBRIDGE_RETENTION_DAYS", WholeNumber(0, 36_500, "days"))
    ] = Field(
        90,
        description="events older than this are pruned at night, sealed figures stay; `0` keeps "
        "them for ever",
    )
    retention_mb: Annotated[
        int, Setting("PLEXBRIDGE_RETENTION_MB", WholeNumber(0, 10_000_000, "MB"))
    ] = Field(
        0,
        description="above this size of the event log its oldest events are pruned at night; `0` "
        "is no bound",
    )
    trusted_networks: Annotated[
        tuple[Network, ...], Setting("PLEXBRIDGE_TRUSTED_NETWORKS", NETWORKS)
    ] = Field(
        _PRIVATE + _LINK_LOCAL + _LOOPBACK,
        description="the networks players may ask from",
    )
    upstream_allow: Annotated[
        tuple[Network, ...], Setting("PLEXBRIDGE_UPSTREAM_ALLOW", NETWORKS)
    ] = Field(
        (),
        description="networks an upstream may be on beside public and private ones; loopback "
        "and link-local only if named here",
    )
    ffmpeg_path: Annotated[str | None, Setting("FFMPEG_PATH", PROGRAM)] = Field(
        None,
        description="the ffmpeg that reads RTSP, RTMP, SRT, UDP, RTP, MMS and DASH upstreams and "
        "transcodes previews; without it, `ffmpeg` on the `PATH`",
    )
    admin_key: Annotated[
        SecretStr | None, Setting("PLEXBRIDGE_ADMIN_KEY", ADMIN_KEY, secret=True, in_file=False)
    ] = Field(
        None,
        description="the key for the API and the pages from elsewhere than this machine, "
        "sent as `X-Api-Key`",
    )
    admin_password: Annotated[
        SecretStr | None,
        Setting("PLEXBRIDGE_ADMIN_PASSWORD", PASSWORD, secret=True, in_file=False),
    ] = Field(
        None,
        description="the password of the pages, instead of one set by the one-time link of the "
        "first start",
    )
    allowed_hosts: Annotated[tuple[str, ...], Setting("PLEXBRIDGE_ALLOWED_HOSTS", OWN_HOSTS)] = (
        Field(
            (),
            description="names the pages may be asked by, beside addresses, names without dots and "
            "those of private domains (`.local`, `.home.arpa`, `.internal`)",
        )
    )
    trusted_proxies: Annotated[
        tuple[Network, ...], Setting("PLEXBRIDGE_TRUSTED_PROXIES", NETWORKS)
    ] = Field(
        (),
        description="reverse proxies that are believed about who asks (`X-Forwarded-For`, "
        "`-Proto` and `-Prefix`)",
    )
    base_path: Annotated[str, Setting("PLEXBRIDGE_BASE_PATH", BASE_PATH)] = Field(
        "",
        description="the path a reverse proxy shows the pages below, where it says none itself",
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Setting("PLEXBRIDGE_LOG_LEVEL", OneOf(("debug", "info", "warning", "error"))),
    ] = Field("info", description="how much is logged")
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Setting("PLEXBRIDGE_LOG_FORMAT", OneOf(("auto", "console", "json"))),
    ] = Field(
        "auto", description="the form of log lines; `auto`: `console` on a terminal, else `json`"
    )

    def shown(self, name: str) -> str:
        """The value in force as text that may be shown: never a login.

        Raises:
            KeyError: no setting has that name.
        """
        field, setting = _BY_NAME[name]
        value = getattr(self, field)
        return NOT_SHOWN if setting.secret and value else as_text(value)

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Which layer each setting's value came from, by the setting's name."""
        return self._origins

    def policy(self) -> Policy:
        """The part that decisions depend on, as recorded by the `bridge` stream's `policy_set`."""
        return Policy(
            keep_alive=self.session_keep_alive,
            enhanced_cleanup_disabled=self.enhanced_cleanup_disabled,
            auto_upgrade=self.auto_upgrade_to_resilient,
            grace_ms=self.session_timeout_grace_ms,
            first_byte_ms=self.first_byte_timeout_ms,
            activity_record_ms=self.activity_record_interval_ms,
            linger_ms=self.linger_ms,
            admission_wait_ms=self.admission_wait_ms,
            tuners=self.tuner_count,
            max_sessions=self.max_concurrent_streams,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: the process's own environment is the caller's to pass."""
        return (init_settings,)


def as_text(value: object) -> str:
    """A setting's value as it would be written in the environment; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)


def _settings_by_name() -> dict[str, tuple[str, Setting]]:
    by_name: dict[str, tuple[str, Setting]] = {}
    for field, info in Settings.model_fields.items():
        (setting,) = (item for item in info.metadata if isinstance(item, Setting))
        by_name[setting.name] = (field, setting)
    assert len(by_name) == len(Settings.model_fields), "two settings share a name"
    return by_name


_BY_NAME: Final = _settings_by_name()
SETTINGS: Final[Mapping[str, tuple[str, Setting]]] = MappingProxyType(_BY_NAME)
"""Every setting by its name: the field of `Settings` that holds it, and how it is set."""
