"""Being found as the settings want it: which ways are on, and what each of them tells.

Knows the settings and the tuner; nothing of packets or sockets.
"""

from collections.abc import Callable

from plexbridge.settings import Settings
from plexbridge.tuner.device import base_url_at
from plexbridge.tuner.discovery.answers import Refusal
from plexbridge.tuner.discovery.presence import Presence
from plexbridge.tuner.discovery.variables import Shown, getset
from plexbridge.tuner.routes import Tuner


def open_presence(
    settings: Settings,
    tuner: Tuner,
    *,
    port: int,
    version: str,
    monotonic: Callable[[], float],
    random: Callable[[], float],
) -> Presence:
    """Begin to be found, on the running loop; the caller closes it.

    `port`: where players are served; `version`: ours; `monotonic`: seconds; `random`: from 0 to 1.
    """

    def told(name: str, given: str | None) -> str | Refusal:
        shown = Shown(
            tuners=tuner.device.tuners,
            channels=len(tuner.lineup()),
            rows=tuner.tuner_rows(),
            rates=tuner.tuner_rates(),
        )
        return getset(shown, name, given)

    presence = Presence(
        device=tuner.device,
        host=settings.host,
        base_url=lambda local: settings.base_url or base_url_at(local, port),
        trusted=settings.trusted_networks,
        monotonic=monotonic,
    )
    if settings.discovery:
        presence.answer_searches(told)
    if settings.ssdp:
        presence.announce(server=f"POSIX/1.0 UPnP/1.0 PlexBridge/{version}", random=random)
    return presence
