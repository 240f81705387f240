"""New slots: back to back, inside operating hours, nobody in two places at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import and_, case, select

from freehold import Problem, Tx, uuid7
from systems.petpro.booking.bodies import SlotsIn, SlotsMade, Weekday
from systems.petpro.booking.rules import DAYS, Hours, back_to_back, opening
from systems.petpro.booking.seats import changed
from systems.petpro.booking.tables import ClinicRef, ClinicService, Slot
from systems.petpro.clinic.contract import GetStaff

Start = tuple[date, Hours]


async def check_staff(staff_id: UUID, clinic_id: UUID, tx: Tx) -> None:
    """Raises Problem 422 unless this is active staff of the clinic."""
    try:
        staff = await tx.ask(GetStaff(staff_id=staff_id))
    except Problem as problem:
        if problem.status != 404:
            raise
        staff = None
    if staff is None or staff.clinic_id != clinic_id or not staff.is_active:
        raise Problem(422, "STAFF_NOT_FOUND", "staffId: the clinic has no such active staff")


async def make_slots(service: ClinicService, wanted: SlotsIn, tx: Tx) -> SlotsMade:
    """Add what is not there yet and overlaps nothing.

    Raises Problem: 422 when nothing lies in operating hours, 409 when the only one would overlap.
    """
    # Slots are made by one at a time in a clinic: neither the engines' unique keys, where NULL is like nothing, nor a
    # staff member's other services can be looked at otherwise.
    clinic = await tx.get(ClinicRef, service.clinic_id, lock=True)
    hours = {} if clinic is None else clinic.operating_hours
    asked = list(_asked(service.duration_minutes, wanted))
    opened = {day: opening(hours, day) for day, _ in asked}
    inside = [(day, each) for day, each in asked if (open_ := opened[day]) is not None and open_.contains(each)]
    if not inside:
        raise Problem(422, "OUTSIDE_OPERATING_HOURS", "None of these slots lies in the clinic's operating hours")
    there = await _there(service.id, wanted, tx)
    made = [(day, each) for day, each in inside if not any(_meets(each, other, wanted) for other in there[day])]
    if len(asked) == 1 and not made and wanted.staff_id is not None and not await _same(service.id, wanted, tx):
        raise Problem(409, "STAFF_OVERLAP", "This member of the staff has another slot at that time")
    for day, each in made:
        slot = Slot(
            id=uuid7(tx.now()), service_id=service.id, staff_id=wanted.staff_id, slot_date=day,
            slot_start_time=each.start, slot_end_time=each.end, status="available", capacity=wanted.capacity,
            booked_count=0, created_at=tx.now(), updated_at=tx.now(),
        )  # fmt: skip
        tx.add(slot)
        changed(slot, tx)
    return SlotsMade(created=len(made), skipped=len(asked) - len(made))


def _meets(new: Hours, there: Hours, wanted: SlotsIn) -> bool:
    """Whether both cannot be: nobody is in two places, and no slot of nobody's is there twice."""
    return new.start == there.start if wanted.staff_id is None else new.overlaps(there)


def _asked(minutes: int, wanted: SlotsIn) -> Iterator[Start]:
    days = None if wanted.weekdays is None else _numbers(wanted.weekdays)
    for ahead in range((wanted.date_to - wanted.date_from).days + 1):
        day = wanted.date_from + timedelta(days=ahead)
        if days is None or day.isoweekday() in days:
            for each in back_to_back(Hours(wanted.start_time, wanted.end_time), minutes):
                yield day, each


def _numbers(weekdays: Collection[Weekday]) -> set[int]:
    return {DAYS.index(day) + 1 if isinstance(day, str) else day or 7 for day in weekdays}


async def _there(service_id: UUID, wanted: SlotsIn, tx: Tx) -> dict[date, list[Hours]]:
    """What is there: of the member of the staff, in any service; or of the service, where it names nobody."""
    staff = Slot.staff_id == wanted.staff_id
    if wanted.staff_id is None:
        staff = and_(Slot.staff_id.is_(None), Slot.service_id == service_id)
    rows = await tx.scalars(select(Slot).where(staff, Slot.slot_date.between(wanted.date_from, wanted.date_to)))
    busy: dict[date, list[Hours]] = defaultdict(list)
    for slot in rows:
        busy[slot.slot_date].append(Hours(slot.slot_start_time, slot.slot_end_time))
    return busy


async def _same(service_id: UUID, wanted: SlotsIn, tx: Tx) -> bool:
    """Whether the one slot that is asked for is there already."""
    return (
        await tx.find(
            Slot,
            Slot.service_id == service_id,
            Slot.staff_id == wanted.staff_id,
            Slot.slot_date == wanted.date_from,
            Slot.slot_start_time == wanted.start_time,
        )
        is not None
    )


async def find_slot(service_id: UUID, day: date, start: object, tx: Tx) -> Slot:
    """A slot of the service at that time, an open one if there is one. Raises Problem 404."""
    rows = list(
        await tx.scalars(
            select(Slot)
            .where(Slot.service_id == service_id, Slot.slot_date == day, Slot.slot_start_time == start)
            .order_by(case((Slot.status == "available", 0), else_=1), Slot.id)
        )
    )
    if not rows:
        raise Problem(404, "SLOT_NOT_FOUND", "The service has no slot at this time")
    found: Slot = rows[0]
    return found
