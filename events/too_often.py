"""An address begins streams too fast: declined, and recorded once a minute for the address.

Not for each channel and player as other refusals: who asks hundreds of times a second may change
both each time, and would write the log full.
"""

from dataclasses import replace

from events.commands import TuneTooOften
from events.decision import Decision
from events.ids import LINEUP_STREAM
from events.limits import GUIDE_NUMBER_CHARS
from events.refusals import TooManyStarts
from events.tuning import refusal_drafts
from events.world import World


def tune_too_often(command: TuneTooOften, world: World) -> Decision:
    """Always a refusal; an event with the first of a minute."""
    refusal = TooManyStarts(command.client.address, per_second=command.per_second)
    drafts = refusal_drafts(
        world,
        stream=LINEUP_STREAM,
        at=command.at,
        refusal=refusal,
        refusal_id=command.refusal_id,
        asked=command.asked[:GUIDE_NUMBER_CHARS],
        channel=None,
        client=replace(command.client, key=f"starts:{command.client.address}"),
        waited_ms=0,
    )
    return Decision(drafts=drafts, refusal=refusal)
