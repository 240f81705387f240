"""The routes that show bookings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, Select, or_, select

from freehold import CamelListing, Paging, Tx, User, list_rows, owner, user
from systems.petpro.booking.appointments import booking_not_found, booking_of
from systems.petpro.booking.booking_bodies import BookingList, BookingOut, Upcoming, UserBookings
from systems.petpro.booking.clinics import actor, clinics_of, require_clinic
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.rules import LIVE
from systems.petpro.booking.showing import shown
from systems.petpro.booking.tables import Booking, Slot


@booking.get("/bookings", access=user, errors=[403])
async def list_bookings(tx: Tx, caller: User, wanted: Annotated[BookingList, Query()]) -> CamelListing[BookingOut]:
    """One's own; those of the clinics that one acts for; admins see all."""
    found = select(Booking)
    if wanted.clinic_id is not None:
        found = found.where(Booking.clinic_id == wanted.clinic_id)
    if wanted.clinic_id is None or not await _clinics_side(wanted.clinic_id, caller, tx):
        found = found.where(*await _visible(caller, tx))
    if wanted.pet_id is not None:
        found = found.where(Booking.pet_id == wanted.pet_id)
    days = []
    if wanted.start_date is not None:
        days.append(Slot.slot_date >= wanted.start_date)
    if wanted.end_date is not None:
        days.append(Slot.slot_date <= wanted.end_date)
    if days:
        found = found.where(Booking.slot_id.in_(select(Slot.id).where(*days)))
    return await _listed(found.where(*_in_status(wanted, tx)), wanted, tx)


@booking.get("/bookings/upcoming", access=user)
async def upcoming_bookings(tx: Tx, caller: User, wanted: Annotated[Upcoming, Query()]) -> CamelListing[BookingOut]:
    """Those of the next days, the first one first."""
    until = tx.now() + timedelta(days=wanted.days)
    found = select(Booking).where(
        Booking.status.in_(LIVE), Booking.starts_at > tx.now(), Booking.starts_at <= until, *await _visible(caller, tx)
    )
    return await _listed(found, wanted, tx, by_start=True)


@booking.get("/users/{user_id}/bookings", access=owner(param="user_id", roles=("admin",)), errors=[403])
async def bookings_of_user(user_id: UUID, tx: Tx, wanted: Annotated[UserBookings, Query()]) -> CamelListing[BookingOut]:
    """A user's bookings."""
    return await _listed(select(Booking).where(Booking.user_id == user_id, *_in_status(wanted, tx)), wanted, tx)


@booking.get("/bookings/{id}", access=user, errors=[403, 404])
async def get_booking(id: UUID, tx: Tx, caller: User) -> BookingOut:
    """One booking."""
    return await _seen(await booking_of(id, tx), tx, caller)


@booking.get("/bookings/reference/{reference_code}", access=user, errors=[403, 404])
async def get_booking_by_code(reference_code: str, tx: Tx, caller: User) -> BookingOut:
    """The booking with this code."""
    found = await tx.find(Booking, Booking.reference_code == reference_code.upper())
    if found is None:
        raise booking_not_found()
    return await _seen(found, tx, caller)


async def _seen(found: Booking, tx: Tx, caller: User) -> BookingOut:
    await actor(found.user_id, found.clinic_id, caller, tx)
    (out,) = await shown([found], tx)
    return out


async def _clinics_side(clinic_id: UUID, caller: User, tx: Tx) -> bool:
    """Whether the caller sees all of a clinic's bookings; customers are asked for nothing, and see their own."""
    if not caller.has_role("vendor", "staff", "admin"):
        return False
    await require_clinic(clinic_id, caller, tx)
    return True


async def _visible(caller: User, tx: Tx) -> list[ColumnElement[bool]]:
    if caller.has_role("admin"):
        return []
    clinics = await clinics_of(caller, tx)
    return [or_(Booking.user_id == caller.id, Booking.clinic_id.in_(clinics))]


def _in_status(wanted: UserBookings, tx: Tx) -> list[ColumnElement[bool]]:
    match wanted.status:
        case None:
            return []
        case "active":
            return [Booking.status.in_(LIVE)]
        case "upcoming":
            return [Booking.status.in_(LIVE), Booking.starts_at > tx.now()]
        case "past":
            return [or_(Booking.status.not_in(LIVE), Booking.ends_at <= tx.now())]
    return [Booking.status == wanted.status]


async def _listed(found: Select[Any], paging: Paging, tx: Tx, *, by_start: bool = False) -> CamelListing[BookingOut]:
    order = Booking.starts_at if by_start else Booking.created_at
    rows = await list_rows(tx, found, paging, order_by=order, descending=not by_start, show=lambda row: row)
    page = CamelListing[BookingOut](data=await shown(rows.data, tx), next_cursor=rows.next_cursor)
    page.meta = CamelListing.of(rows).meta
    return page
