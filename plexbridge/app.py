"""`plexbridge serve`: from settings to exit code.

Whatever keeps the bridge from serving is one line on stderr that names the thing and what to do.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from random import SystemRandom
from typing import Final

import structlog

from events.codec import NewerLog
from plexbridge.bridge import Bridge, Grounds
from plexbridge.data_dir import LOG_FILE, DataDirUnusable, prepare_data_dir
from plexbridge.installation import SecretsUnusable, load_installation
from plexbridge.lineup.errors import LineupError
from plexbridge.log.driver import version_warning
from plexbridge.log.errors import CannotOpen, LogLocked
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.worker import SWITCH_INTERVAL_S
from plexbridge.logs import configure
from plexbridge.relay.child.connector import system_ca_file
from plexbridge.server.addresses import address_of_this_machine
from plexbridge.server.config import EdgeLimits
from plexbridge.server.listener import ListenFailed, open_listener
from plexbridge.server.serve import Server, build_config
from plexbridge.settings import Settings
from plexbridge.tuner.discovery.opening import open_presence
from plexbridge.version import __version__
from plexbridge.web.access.credentials import Credentials, open_credentials
from plexbridge.web.access.keys import KeysUnusable
from plexbridge.web.access.local_key import leave_local_port
from plexbridge.web.access.logins import LoginUnusable
from plexbridge.web.access.setup_code import VALID_S
from plexbridge.web.application import build_app

if sys.platform == "win32":
    _new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
else:
    import uvloop

    _new_event_loop = uvloop.new_event_loop

_log = structlog.get_logger(__name__)

EXIT_OK: Final = 0
EXIT_CANNOT_OPEN: Final = 3

CannotStart = (
    DataDirUnusable,
    SecretsUnusable,
    KeysUnusable,
    LoginUnusable,
    LogLocked,
    CannotOpen,
    NewerLog,
    LineupError,
    ListenFailed,
)
"""What the world may hold against a start; anything else is our bug and shows its traceback."""


def serve(settings: Settings, *, demo: bool) -> int:
    """Serve until a signal. Returns the process's exit code."""
    configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        prepare_data_dir(settings.data_dir)
        installation = load_installation(settings.data_dir, os.urandom)
        log = SqliteLog(settings.data_dir / LOG_FILE)
        warning = version_warning()
        if warning is not None:
            _log.warning(warning)
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            return runner.run(_serve(Grounds(settings, log, installation, system_ca_file()), demo))
    except CannotStart as refusal:
        print(f"plexbridge: {refusal}", file=sys.stderr)
        return EXIT_CANNOT_OPEN


async def _serve(grounds: Grounds, demo: bool) -> int:
    settings = grounds.settings
    bridge = Bridge(grounds, demo=demo)
    try:
        await bridge.start()
        credentials = await asyncio.to_thread(open_credentials, settings, bridge.clock, os.urandom)
        listener = open_listener(settings.host, settings.port)
        server = Server(
            build_config(
                build_app(bridge, credentials),
                version=__version__,
                limits=EdgeLimits(connections_per_address=settings.connections_per_address),
            ),
            on_draining=bridge.drain,
            upstreams=settings.tuner_count,
        )
        await _leave_port(settings, listener)
        _tell_addresses(bridge, listener, credentials)
        presence = open_presence(
            settings,
            bridge.tuner,
            port=listener.getsockname()[1],
            version=__version__,
            monotonic=bridge.clock.monotonic,
            random=SystemRandom().random,
        )
        try:
            await server.serve([listener, *_second_listener(settings)])
        finally:
            await presence.close()
    finally:
        bridge.drain()
        await bridge.close()
    return EXIT_OK


def _second_listener(settings: Settings) -> list[socket.socket]:
    """The other port, if one is wanted and can be had; the bridge serves without it as well."""
    if settings.second_port == "off":
        return []
    try:
        return [open_listener(settings.host, settings.second_port)]
    except ListenFailed as failed:
        cause = failed.__cause__
        why = cause.strerror if isinstance(cause, OSError) else str(failed)
        _log.warning("PLEXBRIDGE_SECOND_PORT is not served", port=settings.second_port, why=why)
        return []


async def _leave_port(settings: Settings, listener: socket.socket) -> None:
    """For commands on this machine, which else go by the settings."""
    port = listener.getsockname()[1]
    try:
        await asyncio.to_thread(leave_local_port, settings.data_dir, port)
    except OSError as error:
        _log.warning("Commands need --port: it could not be left for them", why=error.strerror)


def _tell_addresses(bridge: Bridge, listener: socket.socket, credentials: Credentials) -> None:
    """The few addresses a person needs, on stdout; the one-time link nowhere else."""
    port = listener.getsockname()[1]
    here = f"http://127.0.0.1:{port}"
    home = bridge.settings.base_url or f"http://{address_of_this_machine()}:{port}"
    lineup = bridge.lineup
    lines = [
        f"PlexBridge {__version__} serves {len(lineup)} channels on {bridge.settings.tuner_count} "
        f"tuners; data in {bridge.settings.data_dir}",
        f"  page           {here}/",
        f"  tuner address  {home}   (Plex: Settings, Live TV & DVR, enter it by hand)",
    ]
    if not credentials.locked:
        link = f"{home}{bridge.settings.base_path}/setup?code={credentials.new_link_code()}"
        lines.append(f"  set a password {link}   (once, within {VALID_S // 60} minutes)")
    if lineup.channels:
        first = lineup.channels[0]
        url = f"{home}/auto/v{first.guide_number}"
        lines.append(f"  try it         ffplay {url}   ({first.guide_name})")
    else:
        lines.append("  no channels yet: start with --playlist URL or FILE, or with --demo")
    if bridge.lineup_problem:
        lines.append(f"  note           serving the stored lineup: {bridge.lineup_problem}")
    print("\n".join(lines), flush=True)
