"""The slots of a service on a day, as everybody asks for them: kept for a while, and forgotten when a seat changes."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from freehold import Cache, Tx, Work, not_found
from systems.petpro.booking.bodies import TimeSlot, TimeSlots
from systems.petpro.booking.catalogue import is_offered
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.rules import instant
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import ClinicRef, ClinicService, OfferingRef, Slot


class SlotLists:
    """Lists of slots, ready to be sent."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._forgetting: set[asyncio.Task[None]] = set()

    async def load(self, service_id: UUID, day: date, work: Work) -> bytes:
        """The list as JSON. Raises Problem 404."""

        async def read() -> bytes:
            async with work.transaction(readonly=True) as tx:
                return (await time_slots(service_id, day, tx)).model_dump_json(by_alias=True).encode()

        seconds = work.use(BookingSettings).slot_list_seconds
        return await self._cache.load(_key(service_id, day), read, seconds)

    def changed(self, service_id: UUID, day: date) -> None:
        """A list is out of date: the next one who asks for it gets a new one, in this process at once."""
        task = asyncio.create_task(self._cache.forget(_key(service_id, day)))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)


@booking.provide
def slot_lists(cache: Cache) -> SlotLists:
    return SlotLists(cache)


def _key(service_id: UUID, day: date) -> str:
    return f"slots:{service_id}:{day}"


async def time_slots(service_id: UUID, day: date, tx: Tx) -> TimeSlots:
    """The slots of a service on a day, by their start. Raises Problem 404."""
    service = await tx.get(ClinicService, service_id)
    if service is None:
        raise not_found("The service", "SERVICE_NOT_FOUND")
    clinic, offering = await tx.get(ClinicRef, service.clinic_id), await tx.get(OfferingRef, service_id)
    lead = timedelta(minutes=tx.use(BookingSettings).min_lead_minutes)
    bookable = (
        service.is_available
        and is_offered(offering)
        and (clinic is None or clinic.status == "approved")
        and day.isoformat() not in service.availability_exceptions
    )
    rows = await tx.scalars(
        select(Slot).where(Slot.service_id == service_id, Slot.slot_date == day).order_by(Slot.slot_start_time, Slot.id)
    )
    timezone = "Asia/Jakarta" if clinic is None else clinic.timezone
    return TimeSlots(
        service_id=service_id,
        date=day,
        time_slots=[_shown(slot, timezone, tx.now() + lead, bookable=bookable) for slot in rows],
    )


def _shown(slot: Slot, timezone: str, earliest: datetime, *, bookable: bool) -> TimeSlot:
    in_time = instant(slot.slot_date, slot.slot_start_time, timezone) >= earliest
    return TimeSlot(
        slot_id=slot.id,
        staff_id=slot.staff_id,
        start_time=slot.slot_start_time,
        end_time=slot.slot_end_time,
        capacity=slot.capacity,
        remaining=slot.capacity - slot.booked_count,
        available=bookable and in_time and slot.status == "available",
    )
