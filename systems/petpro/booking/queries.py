"""What booking tells its siblings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, page_of
from systems.petpro.booking.appointments import booking_of
from systems.petpro.booking.catalogue import service_row
from systems.petpro.booking.contract import (
    ActiveBooking,
    BookingRow,
    GetActiveBookings,
    GetBooking,
    GetServices,
    ServiceRow,
    SnapshotBookings,
    SnapshotServices,
)
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.rules import LIVE
from systems.petpro.booking.showing import booking_rows
from systems.petpro.booking.tables import Booking, ClinicService


@booking.answers(GetActiveBookings)
async def active_bookings(query: GetActiveBookings, tx: Tx) -> list[ActiveBooking]:
    found = select(Booking).where(Booking.pet_id == query.pet_id).order_by(Booking.id)
    if not query.ever:
        found = found.where(Booking.status.in_(LIVE))
    return [
        ActiveBooking(booking_id=each.id, clinic_id=each.clinic_id, status=each.status)
        for each in await tx.scalars(found)
    ]


@booking.answers(GetServices)
async def services_of_clinic(query: GetServices, tx: Tx) -> list[ServiceRow]:
    found = select(ClinicService).where(ClinicService.clinic_id == query.clinic_id).order_by(ClinicService.id)
    return [service_row(each) for each in await tx.scalars(found)]


@booking.answers(GetBooking)
async def one_booking(query: GetBooking, tx: Tx) -> BookingRow:
    (row,) = await booking_rows([await booking_of(query.booking_id, tx)], tx)
    return row


@booking.answers(SnapshotServices)
async def snapshot_services(query: SnapshotServices, tx: Tx) -> Page[ServiceRow]:
    found = await tx.scalars(page_of(select(ClinicService), query, by=ClinicService.id))
    return Page[ServiceRow].of([service_row(each) for each in found], query, "service_id")


@booking.answers(SnapshotBookings)
async def snapshot_bookings(query: SnapshotBookings, tx: Tx) -> Page[BookingRow]:
    found = await tx.scalars(page_of(select(Booking), query, by=Booking.id))
    return Page[BookingRow].of(await booking_rows(found, tx), query, "booking_id")
