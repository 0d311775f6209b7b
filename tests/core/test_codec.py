"""How events become bytes: stable text, bytes no two events share, and payloads of other times."""

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.codec import (
    GENESIS,
    NewerLog,
    NotCanonical,
    canonical,
    chain,
    encode,
    fields_of,
    hash_of,
    upcast,
)
from events.envelope import NewEvent, Payload, Recorded
from events.ids import Position, UnixMicros

FIELDS: dict[str, Any] = {
    "stream": "session-a",
    "ver": 1,
    "type": "connect",
    "schema": 1,
    "src": "new",
    "dst": "connecting",
    "machine": "3f6b9c2d41e7",
    "at": UnixMicros(1_700_000_000_000_000),
    "id": b"i" * 16,
    "corr": b"c" * 16,
    "cause": None,
    "actor": "player",
    "node": "local",
    "fence": 0,
}
RECORDED = Recorded(pos=Position(1), data=b'{"a":1}', hash=b"", **FIELDS)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
ANY_FIELDS = st.tuples(
    NAMES,
    st.integers(1, 3),
    NAMES,
    st.integers(1, 3),
    st.none() | NAMES,
    st.none() | NAMES,
    st.none() | NAMES,
    st.integers(-3, 3),
    st.binary(max_size=3),
    st.none() | st.binary(max_size=3),
    st.none() | st.binary(max_size=3),
    NAMES,
    NAMES,
    st.integers(0, 3),
    st.binary(max_size=4),
)


def test_equal_payloads_give_equal_bytes() -> None:
    """Whatever the order of their keys and the kind of mapping."""
    assert encode({"b": 1, "a": [None, "ü"]}) == '{"a":[null,"ü"],"b":1}'.encode()
    assert encode(MappingProxyType({"a": [None, "ü"], "b": 1})) == encode(
        {"b": 1, "a": [None, "ü"]}
    )


def test_a_payload_that_is_no_json_is_refused_by_name() -> None:
    """Bytes, objects and the like are our own mistake."""
    with pytest.raises(TypeError):
        encode({"raw": b"bytes"})


@given(ANY_FIELDS, ANY_FIELDS)
def test_no_two_events_share_their_canonical_bytes(one: Any, other: Any) -> None:
    """Not even where text moves from one field to the next, or absent becomes empty."""
    assert (canonical(*one) == canonical(*other)) == (one == other)


@pytest.mark.parametrize("field", Recorded._fields[1:16])
def test_every_field_is_hashed(field: str) -> None:
    """And so is the position, and everything before it."""
    value = getattr(RECORDED, field)
    other = {int: 9, str: "other", bytes: b"x", type(None): b""}[type(value)]
    changed = RECORDED._replace(**{field: other})
    assert hash_of(GENESIS, changed) != hash_of(GENESIS, RECORDED)
    assert hash_of(GENESIS, RECORDED._replace(pos=Position(2))) != hash_of(GENESIS, RECORDED)
    assert hash_of(b"\x01" * 32, RECORDED) != hash_of(GENESIS, RECORDED)


def test_the_hash_of_an_event_never_changes() -> None:
    """The canonical form is the log's format: this very value stands in logs already written."""
    assert hash_of(GENESIS, RECORDED).hex() == (
        "5c10c38452e0e99e16c468b7d8b99df2c0eb335a8b51bdb479d6d1dbbd0bdbc9"
    )


def test_an_event_hashes_the_same_before_and_after_it_is_recorded() -> None:
    """What the writer chains is what the audit recomputes."""
    event = NewEvent(payload={"a": 1}, **FIELDS)
    assert chain(GENESIS, 1, canonical(*fields_of(event))) == hash_of(GENESIS, RECORDED)


def test_a_name_with_nul_has_no_canonical_form() -> None:
    """It could pass for two names."""
    with pytest.raises(NotCanonical, match="NUL"):
        hash_of(GENESIS, RECORDED._replace(actor="play\0er"))


def test_an_old_payload_is_lifted_step_by_step() -> None:
    """Each step knows one version only."""

    def to_2(payload: Payload) -> Payload:
        return {**payload, "b": 2}

    def to_3(payload: Payload) -> Payload:
        return {**payload, "c": payload["b"] + 1}

    steps = {("connect", 1): to_2, ("connect", 2): to_3}
    lifted = upcast(RECORDED, current={"connect": 3}, steps=steps)
    assert lifted == {"a": 1, "b": 2, "c": 3}
    assert upcast(RECORDED) == {"a": 1}


def test_a_payload_from_a_newer_version_is_refused_with_numbers() -> None:
    """Reading it as if it were known would be a guess."""
    with pytest.raises(NewerLog, match=r"event 'connect' at position 1 has version 4, .* up to 1"):
        upcast(RECORDED._replace(schema=4))
