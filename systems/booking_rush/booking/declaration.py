"""The booking service: reservations and what becomes of them."""

from __future__ import annotations

from freehold import Service
from systems.booking_rush.auth.contract import SnapshotTenants, SnapshotUsers
from systems.booking_rush.booking.contract import BookingCancelled, BookingConfirmed, BookingExpired, BookingReserved
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.snapshots import ZoneSnapshots
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.booking.tables import Base
from systems.booking_rush.payment.contract import GetPaymentOfBooking
from systems.booking_rush.ticket.contract import GetZoneForSale, ListZoneSeats

booking = Service(
    "booking",
    tables=Base,
    database="booking_db",
    publishes=[BookingReserved, BookingConfirmed, BookingCancelled, BookingExpired],
    asks=[GetZoneForSale, ListZoneSeats, GetPaymentOfBooking, SnapshotTenants, SnapshotUsers],
    settings=[BookingSettings],
    description="Reservations, booking lifecycle, live seat counters, booking sagas",
)


@booking.provide
def snapshots(settings: BookingSettings) -> ZoneSnapshots:
    return ZoneSnapshots(settings)


@booking.provide
def sold_out_memory(settings: BookingSettings) -> SoldOutMemory:
    return SoldOutMemory(settings)
