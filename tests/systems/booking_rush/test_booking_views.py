"""Booking's copies of the catalogue: kept by events, and rebuilt from ticket's own rows while events go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from systems.booking_rush.booking.tables import ZoneDirectory
from tests.databases import Databases
from tests.systems.booking_rush.stage import Stage, open_stage


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


async def directory(stage: Stage) -> dict[Any, dict[str, Any]]:
    """The zones as booking knows them, but for when it learnt of them."""
    names = [column.key for column in ZoneDirectory.__table__.columns if column.key != "version_at"]
    async with stage.world.work("booking").transaction(readonly=True) as tx:
        found = list(await tx.scalars(select(ZoneDirectory)))
    return {str(row.zone_id): {name: getattr(row, name) for name in names} for row in found}


async def test_the_zone_directory_is_rebuilt_from_ticket(stage: Stage) -> None:
    organizer, buyer = await stage.person("organizer"), await stage.person()
    kept = await stage.event(organizer, seats=(10, 1), name="Kept")
    gone = await stage.event(organizer, seats=(5,), name="Gone")
    await stage.held(buyer, kept, zone=1)
    stage.world.clock.advance(seconds=1)
    await stage.act(f"/events/{gone['id']}/cancel", organizer)
    assert (await stage.call("PUT", f"/events/{kept['id']}", organizer, name="Renamed")).status_code == 200
    await stage.world.settle()
    before = await directory(stage)
    one, last, cancelled = (str(zone["id"]) for zone in (*kept["zones"], *gone["zones"]))
    assert (before[one]["on_sale"], before[last]["sold_out"], before[cancelled]["on_sale"]) == (True, True, False)
    assert before[one]["event_name"] == "Renamed"
    async with stage.world.work("booking").transaction() as tx:
        await tx.execute(delete(ZoneDirectory).where(ZoneDirectory.event_name == "Gone"))
        await tx.execute(update(ZoneDirectory).values(event_name="Wrong", total_seats=99))
    stage.world.clock.advance(seconds=1)
    views = stage.world.process.units["booking"].views
    assert await views.rebuild("zone_directory", page=2) == 3
    assert await directory(stage) == before

    stage.world.clock.advance(seconds=1)
    assert (await stage.call("PUT", f"/zones/{one}", organizer, price=12.5)).status_code == 200
    await stage.world.settle()
    assert (await directory(stage))[one]["price"] == pytest.approx(12.5), "what comes later is still told"
