"""The routes of slots."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Header, Query
from sqlalchemy import select
from starlette.responses import Response

from freehold import CamelListing, Problem, Tx, User, Work, list_rows, public, user
from systems.petpro.booking.bodies import Availability, OpenSlots, SlotChange, SlotOut, SlotsIn, SlotsMade, SlotsOfDay
from systems.petpro.booking.catalogue import service_of
from systems.petpro.booking.clinics import require_clinic
from systems.petpro.booking.copies import known_clinic
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.seats import changed, slot_of
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.slot_lists import SlotLists
from systems.petpro.booking.slot_making import check_staff, make_slots
from systems.petpro.booking.tables import ClinicService, Slot

Known = Annotated[str | None, Header(alias="If-None-Match")]


@booking.post("/services/{id}/slots", access=user, status_code=201, errors=[403, 404, 409, 422])
async def generate_slots(id: UUID, body: SlotsIn, tx: Tx, caller: User) -> SlotsMade:
    """Slots of the service's duration, one after another, on each of the days."""
    service = await service_of(id, tx)
    await known_clinic(service.clinic_id, tx)
    await require_clinic(service.clinic_id, caller, tx)
    if body.staff_id is not None:
        await check_staff(body.staff_id, service.clinic_id, tx)
    return await make_slots(service, body, tx)


@booking.get("/services/{id}/slots", access=public, errors=[404])
async def slots_of_service(
    id: UUID, wanted: Annotated[SlotsOfDay, Query()], work: Work, lists: SlotLists, *, known: Known = None
) -> Response:
    """The slots of a day and what is left of them; up to a minute old."""
    return await _of_day(id, wanted.date, work, lists, known)


@booking.get("/bookings/availability", access=public, errors=[404])
async def availability(
    wanted: Annotated[Availability, Query()], work: Work, lists: SlotLists, *, known: Known = None
) -> Response:
    """As the slots of the service."""
    return await _of_day(wanted.service_id, wanted.date, work, lists, known)


async def _of_day(service_id: UUID, day: date, work: Work, lists: SlotLists, known: str | None) -> Response:
    body = await lists.load(service_id, day, work)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    seconds = work.use(BookingSettings).slot_list_seconds
    headers = {"ETag": tag, "Cache-Control": f"max-age={seconds:.0f}"}
    if known is not None and tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@booking.get("/clinics/{clinic_id}/slots", access=public)
async def slots_of_clinic(clinic_id: UUID, wanted: Annotated[OpenSlots, Query()], tx: Tx) -> CamelListing[SlotOut]:
    """The slots of a clinic's day that have a seat left."""
    services = select(ClinicService.id).where(ClinicService.clinic_id == clinic_id, ClinicService.is_available)
    found = select(Slot).where(Slot.service_id.in_(services), Slot.slot_date == wanted.date, Slot.status == "available")
    if wanted.service_id is not None:
        found = found.where(Slot.service_id == wanted.service_id)
    if wanted.staff_id is not None:
        found = found.where(Slot.staff_id == wanted.staff_id)
    return CamelListing.of(await list_rows(tx, found, wanted, order_by=Slot.created_at, show=slot_out))


@booking.get("/slots/{id}", access=public)
async def get_slot(id: UUID, tx: Tx) -> SlotOut:
    """One slot."""
    return slot_out(await slot_of(id, tx))


@booking.patch("/slots/{id}", access=user, errors=[403, 404, 409])
async def change_slot(id: UUID, body: SlotChange, tx: Tx, caller: User) -> SlotOut:
    """Block it, lift that, or give it another number of seats; bookings stay."""
    service = await service_of((await slot_of(id, tx)).service_id, tx)
    await require_clinic(service.clinic_id, caller, tx)
    slot = await slot_of(id, tx, lock=True)
    if body.capacity is not None:
        if body.capacity < slot.booked_count:
            raise Problem(409, "CAPACITY_BELOW_BOOKED", f"{slot.booked_count} seats are taken already")
        slot.capacity = body.capacity
    blocked = slot.status == "blocked" if body.status is None else body.status == "blocked"
    slot.status = "blocked" if blocked else "booked" if slot.booked_count == slot.capacity else "available"
    slot.updated_at = tx.now()
    changed(slot, tx)
    return slot_out(slot)


def slot_out(slot: Slot) -> SlotOut:
    """A slot as it is shown."""
    return SlotOut(
        id=slot.id,
        service_id=slot.service_id,
        staff_id=slot.staff_id,
        date=slot.slot_date,
        start_time=slot.slot_start_time,
        end_time=slot.slot_end_time,
        status=slot.status,
        capacity=slot.capacity,
        booked_count=slot.booked_count,
        remaining=slot.capacity - slot.booked_count,
        available=slot.status == "available",
    )
