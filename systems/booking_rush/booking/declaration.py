"""The booking service: reservations and what becomes of them."""

from __future__ import annotations

from freehold import Cache, Clock, Counters, KeyRing, Service
from systems.booking_rush.auth.contract import SnapshotTenants, SnapshotUsers
from systems.booking_rush.booking.contract import BookingCancelled, BookingConfirmed, BookingExpired, BookingReserved
from systems.booking_rush.booking.event_facts import EventFacts
from systems.booking_rush.booking.live_seats import LiveSeats
from systems.booking_rush.booking.queue_gate import QueueGate
from systems.booking_rush.booking.queue_line import QueueLines
from systems.booking_rush.booking.queue_passes import QueuePasses
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.snapshots import ZoneSnapshots
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.booking.tables import Base
from systems.booking_rush.payment.contract import GetPaymentOfBooking, KeepCard, ListSucceededPayments
from systems.booking_rush.ticket.contract import GetEvent, GetZoneForSale, ListZoneSeats, SnapshotZones

booking = Service(
    "booking",
    tables=Base,
    database="booking_db",
    publishes=[BookingReserved, BookingConfirmed, BookingCancelled, BookingExpired],
    asks=[
        GetEvent,
        GetZoneForSale,
        ListZoneSeats,
        GetPaymentOfBooking,
        KeepCard,
        ListSucceededPayments,
        SnapshotTenants,
        SnapshotUsers,
        SnapshotZones,
    ],
    settings=[BookingSettings],
    description="Reservations, booking lifecycle, virtual queue, live seat counters, booking sagas",
)


@booking.provide
def snapshots(settings: BookingSettings, cache: Cache) -> ZoneSnapshots:
    return ZoneSnapshots(settings, cache)


@booking.provide
def sold_out_memory(settings: BookingSettings) -> SoldOutMemory:
    return SoldOutMemory(settings)


@booking.provide
def live_seats(counters: Counters) -> LiveSeats:
    return LiveSeats(counters)


@booking.provide
def event_facts(settings: BookingSettings) -> EventFacts:
    return EventFacts(settings)


@booking.provide
def queue_passes(ring: KeyRing, clock: Clock) -> QueuePasses:
    return QueuePasses(ring, clock)


@booking.provide
def queue_gate(settings: BookingSettings) -> QueueGate:
    return QueueGate(settings)


@booking.provide
def queue_lines(settings: BookingSettings) -> QueueLines:
    return QueueLines(settings)
