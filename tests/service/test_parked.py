"""A projection of ours that raises, in a whole bridge: a fact of the log, and nobody is stopped."""

from pathlib import Path

import pytest

from events.ids import BRIDGE_STREAM
from plexbridge.audit.standing import standings
from projections.dashboard import Dashboard
from tests.service.access_rig import house
from tests.service.relay_setup import until


async def test_a_parked_projection_is_recorded_and_the_bridge_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with the position and the kind of fault; what comes later is recorded as before."""
    fold = Dashboard.fold

    def raising(self: Dashboard, event: object) -> None:
        if getattr(event, "type", "") == "edited":
            raise ZeroDivisionError("a bug")
        fold(self, event)  # type: ignore[arg-type]

    async with house(tmp_path) as made:
        monkeypatch.setattr(Dashboard, "fold", raising)
        await made.bridge.door.note("lineup", "edited", {"channels": 1})

        def parked() -> list[dict[str, object]]:
            rows = made.bridge.log.reader.read_stream(BRIDGE_STREAM)
            return [dict(row.payload) for row in rows if row.type == "projection_parked"]

        await until(lambda: bool(parked()))
        [told] = parked()
        assert (told["name"], told["fault"]) == ("dashboard", "ZeroDivisionError")
        assert made.bridge.projector.parked is not None
        [shown, decided] = standings(made.bridge.log.reader)
        assert shown.status == f"parked at position {told['position']}: ZeroDivisionError"
        assert decided.parked is None
        [later] = await made.bridge.door.note("lineup", "refreshed", {"channels": 1})
        assert later.pos > int(str(told["position"]))
        assert len(parked()) == 1
