"""How the desk is joined to a bridge: which directory, which settings, which rules. Knows no rule
of telling."""

from random import Random

from plexbridge.data_dir import NOTICES_DIR
from plexbridge.notices.desk import Desk
from plexbridge.notices.files import NoticeFiles
from plexbridge.notices.sending import Sender
from plexbridge.notices.surroundings import Around, surroundings
from plexbridge.outbound import OutboundPolicy


def make_desk(bridge: Around, random: Random) -> Desk:
    """The desk of this bridge. It may reach what upstreams may: public and private networks, and
    this machine itself only where PLEXBRIDGE_UPSTREAM_ALLOW names it; not even in the demo."""
    settings = bridge.settings
    policy = OutboundPolicy(allow=settings.upstream_allow)
    base = f"{settings.base_url}{settings.base_path}" if settings.base_url else ""
    return Desk(
        log=bridge.log,
        files=NoticeFiles(settings.data_dir / NOTICES_DIR),
        sender=Sender(policy, closed_to=str(settings.data_dir)),
        surroundings=lambda: surroundings(bridge),
        link_base=base,
        clock=bridge.clock,
        random=random,
    )
