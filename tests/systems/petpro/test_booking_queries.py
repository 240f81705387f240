"""What booking answers its siblings."""

from __future__ import annotations

from uuid import UUID

import pytest

from freehold import Problem, uuid7
from systems.petpro.booking.contract import (
    GetActiveBookings,
    GetBooking,
    GetServices,
    SnapshotBookings,
    SnapshotServices,
)
from tests.systems.petpro.booking_stage import PRICE, Bookings
from tests.systems.petpro.stage import stage_mark

pytestmark = stage_mark


async def test_bookings_of_a_pet_and_one_by_one(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    pet = await play.pet(who)
    first = await play.confirmed(who, await play.slot(clinic, hours=72), pet)
    second = await play.confirmed(who, await play.slot(clinic, hours=80), pet)
    await play.cancel(first, who)
    live = await play.stage.ask("booking", GetActiveBookings(pet_id=pet))
    assert [(str(each.booking_id), each.status) for each in live] == [(second["id"], "confirmed")]
    assert len(await play.stage.ask("booking", GetActiveBookings(pet_id=pet, ever=True))) == 2
    assert await play.stage.ask("booking", GetActiveBookings(pet_id=uuid7())) == []
    row = await play.stage.ask("booking", GetBooking(booking_id=UUID(first["id"])))
    assert (row.payment_status, row.refunded_amount, row.pet_name, row.has_review) == ("refunded", PRICE, "Rex", False)
    with pytest.raises(Problem, match="BOOKING_NOT_FOUND"):
        await play.stage.ask("booking", GetBooking(booking_id=uuid7()))


async def test_snapshots_go_page_by_page(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    await play.service(clinic.id, clinic.owner, name="Bath")
    made = [await play.booked(who, await play.slot(clinic, hours=72 + 2 * n)) for n in range(3)]
    first = await play.stage.ask("booking", SnapshotBookings(limit=2))
    rest = await play.stage.ask("booking", SnapshotBookings(limit=2, cursor=first.next_cursor))
    assert [str(row.booking_id) for row in (*first.data, *rest.data)] == [each["id"] for each in made]
    assert rest.next_cursor is None
    services = await play.stage.ask("booking", SnapshotServices())
    assert [row.name for row in services.data] == ["Check-up", "Bath"]
    assert len(await play.stage.ask("booking", GetServices(clinic_id=clinic.id))) == 2
