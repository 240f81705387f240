"""The reconciler: drift is mended and counted, overselling alarms, and what was paid agrees with what is confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update

from freehold import uuid7
from freehold.observe.metrics import METRICS
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.payment.tables import Payment
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import problem
from tests.systems.booking_rush.stage import Seats, Stage, open_stage


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


def shown(name: str, **labels: str) -> float:
    """What `/metrics` shows."""
    return METRICS.registry.get_sample_value(name, labels) or 0.0


async def change(stage: Stage, service: str, statement: Any) -> None:
    """Somebody at the database, past everything that is decided and told."""
    async with stage.world.work(service).transaction() as tx:
        await tx.execute(statement)


async def test_reservations_refusals_and_holds_are_counted(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(3,))
    granted = shown("booking_reservations_total")
    refused = shown("booking_reservation_failures_total", code="INSUFFICIENT_SEATS")
    await stage.held(await stage.person(), event, 3)
    for _ in range(2):
        problem(await stage.reserve(await stage.person(), event), 409, "INSUFFICIENT_SEATS")
    await stage.world.run_job("booking", "inventory_reconciler")
    assert shown("booking_reservations_total") == granted + 1
    assert shown("booking_reservation_failures_total", code="INSUFFICIENT_SEATS") == refused + 2
    assert shown("active_reservations") == 1
    await stage.world.advance(minutes=10, seconds=1)
    assert shown("active_reservations") == 0


async def test_drift_is_mended_counted_and_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    await stage.held(await stage.person(), event, 3)
    zone_id, before = UUID(event["zones"][0]["id"]), shown("booking_inventory_drift_total")
    await change(stage, "booking", update(ZoneInventory).values(taken=7, revision=ZoneInventory.revision + 1))
    await stage.world.run_job("booking", "inventory_reconciler")
    assert await stage.seats(event) == Seats(left=7, open=3, available=7, reserved=3, sold=0)
    assert shown("booking_inventory_drift_total") == before + 1
    assert f"zone {zone_id}: taken was 7, mended to 3" in caplog.text
    assert shown("booking_zones_out_of_step") == 0


async def test_overselling_alarms_until_it_is_over_and_is_never_mended(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4,))
    buyer = await stage.person()
    first = await stage.held(buyer, event, 2)
    held = await stage.held(buyer, event, 2)
    row = {column.name: getattr(await stage.booking(held), column.key) for column in Booking.__mapper__.columns
           if column.name != "metadata"}  # fmt: skip
    extra = {**row, "id": uuid7(), "idempotency_key": "somebody-else", "user_id": uuid7(), "quantity": 1}
    await change(stage, "booking", insert(Booking.__table__).values(**extra, metadata={}))  # type: ignore[arg-type]
    await change(stage, "booking", update(ZoneInventory).values(revision=ZoneInventory.revision + 1))

    for runs in (1, 2):
        await stage.world.run_job("booking", "inventory_reconciler")
        assert shown("booking_oversold_zones") == 1
        assert caplog.text.count("is oversold: 5 of 4 seats are taken") == runs
    async with stage.world.work("booking").transaction(readonly=True) as tx:
        (zone,) = await tx.scalars(select(ZoneInventory))
        assert (zone.total_seats, zone.taken, zone.oversold, zone.left) == (4, 5, 1, 0)

    # Two seats come back: one of them is somebody's already.
    assert (await stage.act(f"/bookings/{first}/cancel", buyer)).status_code == 200
    problem(await stage.reserve(await stage.person(), event, 2), 409, "INSUFFICIENT_SEATS")
    assert (await stage.reserve(await stage.person(), event, 1)).status_code == 201
    await stage.world.run_job("booking", "inventory_reconciler")
    assert shown("booking_oversold_zones") == 0
    assert (await stage.seats(event)).open == 4


# --- payments ---------------------------------------------------------------------------------------------------------


async def test_a_payment_whose_event_was_lost_is_followed_by_its_saga_after_two_minutes(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4,))
    booking_id = await stage.held(await stage.person(), event, 2)
    now, before = stage.world.clock.now(), shown("booking_stray_payments_total", remedy="saga")
    await change(stage, "payment", update(Payment).values(status="succeeded", completed_at=now))
    await stage.world.advance(minutes=1)
    assert (await stage.booking(booking_id)).status == "reserved"
    await stage.world.advance(minutes=1, seconds=1)
    await stage.world.run_due()
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert shown("booking_stray_payments_total", remedy="saga") == before + 1
    for _ in range(2):
        await stage.world.advance(minutes=1)
    assert shown("booking_stray_payments_total", remedy="saga") == before + 1


async def test_a_payment_whose_booking_is_gone_after_its_saga_is_given_back(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4,))
    buyer = await stage.person()
    lost, kept = await stage.bought(buyer, event, 2), await stage.bought(buyer, event, 1)
    await change(stage, "booking", delete(Booking).where(Booking.id == UUID(lost)))
    for _ in range(4):
        await stage.world.advance(minutes=1)
    assert (await stage.payment(lost)).status == "refunded"
    assert stage.gateway.charged[(await stage.payment(lost)).id] == 0
    assert (await stage.payment(kept)).status == "succeeded"
    assert (await stage.seats(event)).left == 3


async def test_a_booking_without_a_succeeded_payment_is_reported_and_left_alone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4,))
    buyer = await stage.person()
    booking_id = await stage.bought(buyer, event, 2)
    await stage.bought(buyer, event, 1)
    mine = Payment.booking_id == UUID(booking_id)
    await change(stage, "payment", update(Payment).where(mine).values(status="failed"))
    for _ in range(4):
        await stage.world.advance(minutes=1)
        assert (await stage.booking(booking_id)).status == "confirmed"
    assert shown("booking_confirmed_unpaid") == 1
    assert f"booking {booking_id} is confirmed without a succeeded payment" in caplog.text
    await change(stage, "payment", update(Payment).where(mine).values(status="succeeded"))
    await stage.world.advance(minutes=1)
    assert shown("booking_confirmed_unpaid") == 0


async def test_a_pending_payment_of_no_booking_is_called_off_after_a_quarter_of_an_hour(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4,))
    booking_id = await stage.held(await stage.person(), event)
    await change(stage, "booking", delete(Booking))
    await stage.world.advance(minutes=14)
    assert (await stage.payment(booking_id)).status == "pending"
    await stage.world.advance(minutes=1, seconds=1)
    assert (await stage.payment(booking_id)).status == "cancelled"
