"""The programme guide as programs and pages are told of it. Pure. Times are Unix milliseconds."""

from collections.abc import Callable
from typing import Any, Final

from plexbridge.lineup.channels import Channel
from plexbridge.lineup.edits import AS_LISTED, Edit, Edits
from plexbridge.lineup.guide.details import Brief, Details
from plexbridge.lineup.guide.listing import Asked, Listed, Listing, Told
from plexbridge.lineup.guide.mapping import Candidate, Mapped

MS_PER_S: Final = 1_000

HOW: Final = {
    "chosen": "chosen by a person",
    "id": "found by its id",
    "id_case": "found by its id, but for capital letters",
    "name": "found by its name",
    "similar": "guessed by a similar name",
}
"""By `matching.How`."""

Document = dict[str, Any]
Logo = Callable[[Channel], str]
"""The path of a channel's logo; nothing where it has none."""


def listing_document(
    found: Listing,
    asked: Asked,
    edits: Edits,
    logo: Logo,
    *,
    now: int,
    behind: bool,
    without_guide: int,
) -> Document:
    """A page of channels with their programmes."""
    return {
        "from": asked.begin * MS_PER_S,
        "until": asked.until * MS_PER_S,
        "now": now,
        "matches": found.matches,
        "without_guide": without_guide,
        "behind": behind,
        "next_after": found.next_after,
        "channels": [_listed(one, edits, logo) for one in found.channels],
    }


def _listed(listed: Listed, edits: Edits, logo: Logo) -> Document:
    channel = listed.channel
    return {
        "id": channel.id,
        "guide_number": channel.guide_number,
        "name": channel.guide_name,
        "logo": logo(channel).removeprefix("/"),
        "mapping": mapping_document(channel, listed.mapped, edits.get(channel.id, AS_LISTED)),
        "programmes": [brief_document(one) for one in listed.programmes],
        "following": None if listed.following is None else brief_document(listed.following),
    }


def brief_document(one: Brief) -> Document:
    """A programme, in short."""
    return {
        "start": one.start * MS_PER_S,
        "stop": one.stop * MS_PER_S,
        "title": one.title,
        "sub_title": one.sub_title,
        "episode": one.episode,
    }


def programme_document(told: Told) -> Document:
    """A programme, with all that is said of it; `before` and `after`: when those beside it
    begin."""
    return {
        **details_document(told.details),
        "before": None if told.before is None else told.before * MS_PER_S,
        "after": None if told.after is None else told.after * MS_PER_S,
    }


def details_document(details: Details) -> Document:
    """A programme, with all that is said of it."""
    return {
        **brief_document(details.brief),
        "description": details.description,
        "categories": list(details.categories),
        "date": details.date,
        "flags": list(details.flags),
    }


def mapping_document(channel: Channel, mapped: Mapped | None, edit: Edit) -> Document:
    """Which guide channel it has, and why."""
    return {
        "guide_id": None if mapped is None else mapped.guide_id,
        "guide_name": None if mapped is None else mapped.name,
        "guide": None if mapped is None else mapped.guide + 1,
        "how": None if mapped is None else mapped.how,
        "confidence": None if mapped is None else mapped.confidence,
        "has_programmes": mapped is not None and mapped.has_programmes,
        "chosen": edit.tvg_id,
        "listed_id": channel.tvg_id,
        "words": mapping_words(mapped, edit),
    }


def mapping_words(mapped: Mapped | None, edit: Edit) -> str:
    """The same in a sentence, without the names."""
    if mapped is None:
        if edit.tvg_id == "":
            return "no guide, as a person chose"
        return "no guide has it" if edit.tvg_id is None else "no guide has what a person chose"
    how = HOW[mapped.how]
    if mapped.how == "similar":
        how = f"{how}, {mapped.confidence} of 100 alike"
    if edit.tvg_id and mapped.how != "chosen":
        how = f"{how}, for no guide has what a person chose"
    return how if mapped.has_programmes else f"{how}; the guide has no programme for it"


def candidate_document(one: Candidate) -> Document:
    """A guide channel that could be chosen."""
    return {
        "guide_id": one.guide_id,
        "guide_name": one.name,
        "guide": one.guide + 1,
        "confidence": one.confidence,
    }
