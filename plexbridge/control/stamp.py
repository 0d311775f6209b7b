"""Gives drafts their identity: ids, versions, and the causes that make a story of them."""

from collections.abc import Sequence

from events.envelope import Draft, NewEvent
from events.machine import CONNECT
from events.world import World
from plexbridge.ids import Ids

STORIES_MAX = 10_000
"""Streams whose story is remembered; the oldest is forgotten first. Far more than can be open."""


class Stamper:
    """Remembers, for the streams that are going on, the first and the last event of their story."""

    def __init__(self, ids: Ids, *, node: str, fence: int = 0) -> None:
        self._ids = ids
        self._node = node
        self._fence = fence
        self._stories: dict[str, tuple[bytes, bytes]] = {}

    def stamp(self, drafts: Sequence[Draft], world: World, *, actor: str) -> tuple[NewEvent, ...]:
        """The drafts of one decision as events, in their order, with the versions that follow
        those of `world`.

        An event without a cause inside its decision is caused by the last event of its own stream.
        The story (`corr`) of a stream begins with its own first event, or with its cause's story.
        """
        versions: dict[str, int] = {}
        ids = [self._ids.event() for _ in drafts]
        stamped: list[NewEvent] = []
        for draft, own in zip(drafts, ids, strict=True):
            ver = versions.get(draft.stream, world.versions.get(draft.stream, 0)) + 1
            versions[draft.stream] = ver
            story, last = self._stories.get(draft.stream, (None, None))
            cause = last if draft.because is None else ids[draft.because]
            if draft.because is not None and (story is None or draft.type == "tuner_leased"):
                story = stamped[draft.because].corr
            if story is None or (draft.type == CONNECT and ver == 1 and draft.because is None):
                story = own
            self._remember(draft.stream, (story, own))
            stamped.append(
                NewEvent(
                    stream=draft.stream,
                    ver=ver,
                    type=draft.type,
                    schema=draft.schema,
                    src=draft.src,
                    dst=draft.dst,
                    machine=draft.machine,
                    at=draft.at,
                    id=own,
                    corr=story,
                    cause=cause,
                    actor=actor,
                    node=self._node,
                    fence=self._fence,
                    payload=draft.payload,
                )
            )
        return tuple(stamped)

    def _remember(self, stream: str, story: tuple[bytes, bytes]) -> None:
        self._stories.pop(stream, None)
        self._stories[stream] = story
        if len(self._stories) > STORIES_MAX:
            del self._stories[next(iter(self._stories))]
