"""What other services may know of booking: which seats are held, sold and given up."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import Event, Money, Page, Query, TimeOfDay, Timestamp

BookingStatus = Literal["reserved", "confirmed", "cancelled", "expired"]
OpenStatus = Literal["reserved", "confirmed"]


# --- events -----------------------------------------------------------------------------------------------------------


class BookingFact(Event):
    """What every event of a booking tells."""

    booking_id: UUID
    tenant_id: UUID
    user_id: UUID
    event_id: UUID
    show_id: UUID
    zone_id: UUID
    event_name: str
    show_date: date
    zone_name: str
    quantity: int
    total_amount: Money
    currency: str
    status: BookingStatus


class BookingReserved(BookingFact, name="booking.reserved", topic="booking.transactions", key="booking_id"):
    show_time: TimeOfDay
    venue_name: str | None
    unit_price: Money
    reserved_at: Timestamp
    reservation_expires_at: Timestamp


class BookingConfirmed(BookingFact, name="booking.confirmed", topic="booking.transactions", key="booking_id"):
    show_time: TimeOfDay
    venue_name: str | None
    unit_price: Money
    payment_id: UUID | None
    confirmation_code: str
    reserved_at: Timestamp
    confirmed_at: Timestamp


class BookingCancelled(BookingFact, name="booking.cancelled", topic="booking.transactions", key="booking_id"):
    """`previous_status` says whether reserved or sold seats come back."""

    previous_status: OpenStatus
    status_reason: str
    payment_id: UUID | None
    cancelled_by: UUID | None
    cancelled_at: Timestamp


class BookingExpired(BookingFact, name="booking.expired", topic="booking.transactions", key="booking_id"):
    previous_status: OpenStatus
    status_reason: str
    reservation_expires_at: Timestamp
    expired_at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class BookingInfo(BaseModel):
    """A booking, as siblings see one. `organizer_id` is the event's, who may refund it."""

    booking_id: UUID
    tenant_id: UUID
    user_id: UUID
    organizer_id: UUID | None
    event_id: UUID
    show_id: UUID
    zone_id: UUID
    event_name: str
    show_date: date
    show_time: TimeOfDay
    zone_name: str
    venue_name: str | None
    quantity: int
    unit_price: Money
    total_amount: Money
    currency: str
    status: BookingStatus
    status_reason: str | None
    payment_id: UUID | None
    confirmation_code: str | None
    reserved_at: Timestamp
    reservation_expires_at: Timestamp
    confirmed_at: Timestamp | None
    cancelled_at: Timestamp | None


class GetBooking(Query[BookingInfo], path="/internal/bookings/{booking_id}"):
    """404 `NOT_FOUND` for an unknown booking."""

    booking_id: UUID


# --- snapshots that views are rebuilt from ----------------------------------------------------------------------------


class BookingRow(BaseModel):
    """A booking as sales reports keep one; `ended_at` is when it was cancelled or expired."""

    booking_id: UUID
    tenant_id: UUID
    event_id: UUID
    event_name: str
    show_id: UUID
    show_date: date
    zone_id: UUID
    zone_name: str
    quantity: int
    total_amount: Money
    currency: str
    status: BookingStatus
    reserved_at: Timestamp
    confirmed_at: Timestamp | None
    ended_at: Timestamp | None
    version_at: Timestamp


class SnapshotBookings(Query[Page[BookingRow]], path="/internal/snapshots/bookings"):
    """Every booking, whatever became of it, a page at a time, in the order of their ids."""

    cursor: str | None = None
    limit: int = 500
