"""What booking does, beside its copies, when something happens elsewhere."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from freehold import Tx
from systems.petpro.auth.contract import UserDeactivated
from systems.petpro.booking.catalogue import service_defined
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.reservations import give_up, reservation_of
from systems.petpro.booking.rules import instant
from systems.petpro.booking.seats import changed
from systems.petpro.booking.tables import ClinicRef, ClinicService, OfferingRef, Reservation, Slot
from systems.petpro.clinic.contract import ClinicUpdated, ServiceUpdated
from systems.petpro.pet.contract import PetDeleted


@booking.on(UserDeactivated)
async def drop_reservations_of_user(event: UserDeactivated, tx: Tx) -> None:
    """What is not paid ends with its user; confirmed bookings stay."""
    await _give_up(Reservation.user_id == event.user_id, "user_deactivated", tx)


@booking.on(PetDeleted)
async def drop_reservations_of_pet(event: PetDeleted, tx: Tx) -> None:
    """What is not paid ends with its pet."""
    await _give_up(Reservation.pet_id == event.pet_id, "pet_deleted", tx)


async def _give_up(whose: ColumnElement[bool], reason: str, tx: Tx) -> None:
    for id in list(await tx.scalars(select(Reservation.id).where(whose, Reservation.status == "pending"))):
        held = await reservation_of(id, tx, lock=True)
        if held.status == "pending":
            await give_up(held, "system", reason, tx)


@booking.on(ClinicUpdated)
async def block_slots(event: ClinicUpdated, tx: Tx) -> None:
    """A clinic that is not approved any more gets no new bookings: its free slots to come are blocked."""
    copy = await tx.get(ClinicRef, event.clinic_id)
    if event.status == "approved" or (copy is not None and copy.version > event.version):
        return
    services = select(ClinicService.id).where(ClinicService.clinic_id == event.clinic_id)
    rows = await tx.scalars(
        select(Slot)
        .where(Slot.service_id.in_(services), Slot.booked_count == 0, Slot.status != "blocked")
        .order_by(Slot.id)
        .with_for_update()
    )
    for slot in rows:
        if slot.booked_count == 0 and instant(slot.slot_date, slot.slot_start_time, event.timezone) > tx.now():
            slot.status, slot.updated_at = "blocked", tx.now()
            changed(slot, tx)


@booking.on(ServiceUpdated)
async def follow_offering(event: ServiceUpdated, tx: Tx) -> None:
    """A service can be booked as long as its clinic offers it."""
    copy = await tx.get(OfferingRef, event.service_id)
    service = await tx.get(ClinicService, event.service_id, lock=True)
    if service is None or service.is_available == event.is_active:
        return
    if copy is None or copy.version <= event.version:
        service.is_available = event.is_active
        service.touch(tx.now())
        tx.publish(service_defined(service))
