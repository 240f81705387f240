"""Services and slots: who defines them, what is asked for, and what generating leaves out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from freehold import uuid7
from systems.petpro.booking.contract import ServiceDefined
from systems.petpro.booking.tables import ClinicRef, ClinicService, OfferingRef, Slot
from systems.petpro.clinic.tables import StaffMember
from tests.systems.petpro.booking_stage import Bookings, Clinics, day_of
from tests.systems.petpro.stage import Person, invalid, problem, stage_mark

pytestmark = stage_mark


def wish(clinic: Clinics | UUID, **fields: Any) -> dict[str, Any]:
    id = clinic.id if isinstance(clinic, Clinics) else clinic
    return {"clinicId": str(id), "name": "Bath", "price": 75000, "duration": 45, "category": "grooming"} | fields


async def generate(play: Bookings, clinic: Clinics, who: Person | None = None, **fields: Any) -> httpx.Response:
    """POST slots of the next day, 09:00 to 10:30."""
    day = day_of(play.clock.now() + timedelta(days=1)).isoformat()
    body = {"dateFrom": day, "dateTo": day, "startTime": "09:00", "endTime": "10:30"} | fields
    return await play.stage.call("POST", f"/services/{clinic.service['id']}/slots", who or clinic.owner, **body)


async def new_staff(play: Bookings, clinic_id: UUID, **fields: Any) -> UUID:
    id, now = uuid7(), play.clock.now()
    async with play.world.work("clinic").transaction() as tx:
        values = {"name": "Dr. Sari", "email": f"{id.hex}@paw.id", "role": "veterinarian", "is_active": True} | fields
        tx.add(StaffMember(id=id, clinic_id=clinic_id, created_at=now, updated_at=now, **values))
    return id


# --- services ---------------------------------------------------------------------------------------------------------


async def test_a_service_is_defined_offered_and_priced(play: Bookings) -> None:
    clinic = await play.clinic()
    made = await play.stage.made("/services", clinic.owner, **wish(clinic, availabilityExceptions=["2030-02-01"]))
    assert (made["price"], made["effectivePrice"], made["duration"], made["isActive"]) == (75000.0, 75000.0, 45, True)
    (offering,) = await play.stage.rows("booking", OfferingRef, OfferingRef.service_id == UUID(made["id"]))
    assert offering.is_active
    other = await play.stage.made(
        f"/clinics/{clinic.id}/services", clinic.owner, name="Cut", price=1, durationMinutes=5
    )
    answer = await play.stage.call(
        "PUT", f"/clinics/{clinic.id}/services/{made['id']}", clinic.owner, priceOverride=60000
    )
    assert answer.status_code == 200, answer.text
    assert (await play.stage.seen(f"/services/{made['id']}"))["effectivePrice"] == 60000.0
    listed = (await play.stage.seen(f"/services?clinicId={clinic.id}&minPrice=50000&maxPrice=70000"))["data"]
    assert [each["id"] for each in listed] == [made["id"]]
    found = await play.stage.seen("/services/search?q=CUT")
    assert [each["id"] for each in found["data"]] == [other["id"]]
    assert found["meta"] == {"page": 1, "limit": 10, "total": 1, "totalPages": 1}
    alias = await play.stage.seen(f"/bookings/services?clinicId={clinic.id}&category=grooming")
    assert alias["meta"]["total"] == 1


async def test_what_a_service_may_not_be(play: Bookings) -> None:
    clinic, stranger = await play.clinic(), await play.stage.vendor()
    post = play.stage.call
    for field, value in (("duration", 7), ("duration", 485), ("price", -1), ("category", "circus"), ("name", "")):
        invalid(await post("POST", "/services", clinic.owner, **wish(clinic, **{field: value})), field)
    problem(await post("POST", "/services", stranger, **wish(clinic)), 403, "FORBIDDEN")
    problem(await post("POST", "/services", clinic.admin, **wish(uuid7())), 404, "CLINIC_NOT_FOUND")
    pending = await play.new_clinic(stranger, status="pending")
    problem(await post("POST", "/services", stranger, **wish(pending)), 422, "CLINIC_NOT_APPROVED")
    now = play.clock.now()
    async with play.world.work("booking").transaction() as tx:
        tx.add_all(
            [
                ClinicService(clinic_id=clinic.id, name=f"S{n}", price=1, created_at=now, updated_at=now)
                for n in range(49)
            ]
        )
    problem(await post("POST", "/services", clinic.owner, **wish(clinic)), 422, "SERVICE_LIMIT")


async def test_a_service_is_changed_and_withdrawn(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    path = f"/services/{clinic.service['id']}"
    changed = await play.stage.call("PUT", path, clinic.owner, price=300000, name="Better check-up")
    assert (changed.json()["price"], changed.json()["name"], changed.json()["duration"]) == (
        300000.0, "Better check-up", 30,
    )  # fmt: skip
    made = await play.booked(who, await play.slot(clinic))
    assert made["amount"] == 300000.0
    problem(await play.stage.call("DELETE", path, clinic.owner), 409, "SERVICE_HAS_BOOKINGS")
    assert (await play.cancel(made, who)).status_code == 200
    assert (await play.stage.call("DELETE", path, clinic.owner)).status_code == 204
    assert (await play.stage.call("DELETE", path, clinic.owner)).status_code == 204
    assert (await play.stage.seen(path))["isActive"] is False
    assert [each.version for each in await play.stage.published(ServiceDefined)] == [1, 2, 3]
    problem(await play.reserve(who, await play.slot(clinic, hours=90)), 422, "SERVICE_NOT_AVAILABLE")
    problem(await play.stage.call("PUT", f"/services/{uuid7()}", clinic.owner, price=1), 404, "SERVICE_NOT_FOUND")


async def test_an_offering_that_is_switched_off_cannot_be_booked(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    path = f"/clinics/{clinic.id}/services/{clinic.service['id']}"
    assert (await play.stage.call("DELETE", path, clinic.owner)).status_code == 204
    assert (await play.stage.seen(f"/services/{clinic.service['id']}"))["isActive"] is False
    problem(await play.reserve(who, slot), 422, "SERVICE_NOT_AVAILABLE")
    assert (await play.stage.call("PUT", path, clinic.owner, isActive=True)).status_code == 200
    assert (await play.reserve(who, slot)).status_code == 201


# --- slots ------------------------------------------------------------------------------------------------------------


async def test_slots_are_generated_back_to_back_and_not_twice(play: Bookings) -> None:
    clinic = await play.clinic()
    assert (await generate(play, clinic)).json() == {"created": 3, "skipped": 0}
    assert (await generate(play, clinic, endTime="11:00")).json() == {"created": 1, "skipped": 3}
    rows = await play.stage.rows("booking", Slot)
    assert sorted(f"{slot.slot_start_time:%H:%M}" for slot in rows) == ["09:00", "09:30", "10:00", "10:30"]


async def test_slots_of_nobody_may_overlap(play: Bookings) -> None:
    clinic = await play.clinic()
    await generate(play, clinic)
    assert (await generate(play, clinic, startTime="09:15")).json() == {"created": 2, "skipped": 0}


async def test_weekdays_and_operating_hours(play: Bookings) -> None:
    clinic = await play.clinic()
    open_hours = {"monday": {"open": "09:00", "close": "10:00", "is_open": True}}
    await play.set_clinic(clinic.id, operating_hours=open_hours)
    week = {"dateFrom": "2030-01-07", "dateTo": "2030-01-13"}  # from a Monday on
    assert (await generate(play, clinic, **week)).json() == {"created": 2, "skipped": 19}
    problem(await generate(play, clinic, **week, startTime="10:00", endTime="11:00"), 422, "OUTSIDE_OPERATING_HOURS")
    problem(await generate(play, clinic, **week, weekdays=["tuesday"]), 422, "OUTSIDE_OPERATING_HOURS")
    next_week = {"dateFrom": "2030-01-14", "dateTo": "2030-01-20"}
    assert (await generate(play, clinic, **next_week, weekdays=[1, 3])).json() == {"created": 2, "skipped": 4}


@pytest.mark.parametrize(
    "fields",
    [
        {"startTime": "11:00", "endTime": "10:00"}, {"capacity": 0}, {"capacity": 51}, {"weekdays": [8]},
        {"dateFrom": "2030-01-01", "dateTo": "2030-03-02"}, {"dateFrom": "2030-01-02", "dateTo": "2030-01-01"},
        {"dateFrom": "2030-13-40"}, {"startTime": "09:00+07:00"},
    ],
)  # fmt: skip
async def test_slots_that_cannot_be(play: Bookings, fields: dict[str, Any]) -> None:
    clinic = await play.clinic()
    problem(await generate(play, clinic, **fields), 400, "VALIDATION_ERROR")
    assert await play.stage.rows("booking", Slot) == []


async def test_nobody_of_the_staff_is_in_two_places(play: Bookings) -> None:
    clinic = await play.clinic()
    staff = str(await new_staff(play, clinic.id))
    assert (await generate(play, clinic, staffId=staff)).json()["created"] == 3
    bath = await play.service(clinic.id, clinic.owner, name="Bath", duration=60)
    other = Clinics(clinic.id, clinic.owner, clinic.admin, bath)
    one = {"staffId": staff, "startTime": "10:00", "endTime": "11:00"}
    problem(await generate(play, other, **one), 409, "STAFF_OVERLAP")
    assert (await generate(play, other, **(one | {"endTime": "13:00"}))).json() == {"created": 2, "skipped": 1}
    assert (await generate(play, clinic, staffId=staff, endTime="09:30")).json() == {"created": 0, "skipped": 1}


async def test_staff_of_others_or_who_left_gets_no_slots(play: Bookings) -> None:
    clinic, other = await play.clinic(), await play.clinic()
    gone = await new_staff(play, clinic.id, is_active=False)
    for staff in (uuid7(), gone, await new_staff(play, other.id)):
        problem(await generate(play, clinic, staffId=str(staff)), 422, "STAFF_NOT_FOUND")


async def test_active_staff_acts_for_the_clinic(play: Bookings) -> None:
    clinic, sari, ex = await play.clinic(), await play.stage.staff(), await play.stage.staff()
    await new_staff(play, clinic.id, user_id=sari.id)
    await new_staff(play, clinic.id, user_id=ex.id, is_active=False)
    problem(await generate(play, clinic, ex), 403, "FORBIDDEN")
    assert (await generate(play, clinic, sari)).status_code == 201


async def test_the_list_of_slots_has_an_etag_and_follows_the_seats(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic, capacity=2)
    day = (await play.slot_row(slot)).slot_date.isoformat()
    path = f"/api/v1/services/{clinic.service['id']}/slots"
    first = await play.world.http.get(path, params={"date": day})
    assert first.headers["Cache-Control"] == "max-age=60"
    (shown,) = first.json()["timeSlots"]
    assert (shown["slotId"], shown["capacity"], shown["remaining"], shown["available"]) == (slot, 2, 2, True)
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await play.world.http.get(path, params={"date": day}, headers=tag)).status_code == 304
    await play.reserved(who, slot)
    again = await play.world.http.get(path, params={"date": day}, headers=tag)
    assert (again.status_code, again.json()["timeSlots"][0]["remaining"]) == (200, 1)
    alias = await play.stage.seen(f"/bookings/availability?serviceId={clinic.service['id']}&date={day}")
    assert alias == again.json()
    open_slots = await play.stage.seen(f"/clinics/{clinic.id}/slots?date={day}")
    assert [each["id"] for each in open_slots["data"]] == [slot]
    problem(await play.stage.call("GET", f"/services/{uuid7()}/slots?date={day}"), 404, "SERVICE_NOT_FOUND")


async def test_a_slot_is_blocked_lifted_and_resized(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic, capacity=2)
    await play.reserved(who, slot)
    blocked = await play.stage.call("PATCH", f"/slots/{slot}", clinic.owner, status="blocked")
    assert (blocked.json()["status"], blocked.json()["bookedCount"]) == ("blocked", 1)
    problem(await play.reserve(who, slot), 422, "SLOT_BLOCKED")
    small = await play.stage.call("PATCH", f"/slots/{slot}", clinic.owner, status="available", capacity=1)
    assert small.json()["status"] == "booked"
    problem(await play.reserve(await play.stage.customer(), slot), 409, "SLOT_UNAVAILABLE")
    await play.stage.call("PATCH", f"/slots/{slot}", clinic.owner, capacity=3)
    await play.reserved(await play.stage.customer(), slot)
    problem(await play.stage.call("PATCH", f"/slots/{slot}", clinic.owner, capacity=1), 409, "CAPACITY_BELOW_BOOKED")
    assert (await play.stage.seen(f"/slots/{slot}"))["remaining"] == 1


async def test_a_clinic_that_is_suspended_keeps_booked_slots_open_for_nobody(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    taken, free = await play.slot(clinic, capacity=2), await play.slot(clinic, hours=80)
    await play.reserved(who, taken)
    await play.set_clinic(clinic.id, status="suspended")
    assert ((await play.slot_row(taken)).status, (await play.slot_row(free)).status) == ("available", "blocked")
    problem(await play.reserve(await play.stage.customer(), taken), 422, "CLINIC_NOT_APPROVED")
    (copy,) = await play.stage.rows("booking", ClinicRef)
    assert copy.status == "suspended"
