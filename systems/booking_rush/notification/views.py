"""Notification's copies of what others own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from freehold import Change, View
from systems.booking_rush.auth.contract import SnapshotUsers, UserCreated, UserDeleted, UserUpdated
from systems.booking_rush.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingFact,
    BookingReserved,
    SnapshotBookings,
)
from systems.booking_rush.notification.declaration import notification
from systems.booking_rush.notification.tables import EventDirectory, RecipientDirectory, SalesFact
from systems.booking_rush.payment.contract import PaymentRefunded
from systems.booking_rush.ticket.contract import (
    EventCancelled,
    EventCreated,
    EventPublished,
    EventUpdated,
    SnapshotEvents,
)

# A rebuild renews what booking knows; `refund_amount` stays as payment told it.
sales = notification.view(View("sales_facts", table=SalesFact, key="booking_id", rebuild=SnapshotBookings))
recipients = notification.view(
    View("recipient_directory", table=RecipientDirectory, key="user_id", rebuild=SnapshotUsers)
)
events = notification.view(View("event_directory", table=EventDirectory, key="event_id", rebuild=SnapshotEvents))


# --- sales ------------------------------------------------------------------------------------------------------------

_BOOKING = {
    "booking_id", "tenant_id", "event_id", "event_name", "show_id", "show_date", "zone_id", "zone_name", "quantity",
    "total_amount", "currency", "status",
}  # fmt: skip


def _sale(event: BookingFact, version: datetime, **moments: Any) -> Change:
    return Change({**event.model_dump(include=_BOOKING), **moments}, version)


@sales.on(BookingReserved)
def booking_reserved(event: BookingReserved) -> Change:
    return _sale(event, event.reserved_at, reserved_at=event.reserved_at)


@sales.on(BookingConfirmed)
def booking_confirmed(event: BookingConfirmed) -> Change:
    return _sale(event, event.confirmed_at, reserved_at=event.reserved_at, confirmed_at=event.confirmed_at)


@sales.on(BookingCancelled)
def booking_cancelled(event: BookingCancelled) -> Change:
    return _sale(event, event.cancelled_at, ended_at=event.cancelled_at)


@sales.on(BookingExpired)
def booking_expired(event: BookingExpired) -> Change:
    return _sale(event, event.expired_at, ended_at=event.expired_at)


@sales.on(PaymentRefunded)
def payment_refunded(event: PaymentRefunded) -> Change:
    return Change({"booking_id": event.booking_id, "refund_amount": event.refund_amount}, version=event.refunded_at)


# --- people -----------------------------------------------------------------------------------------------------------

_RECIPIENT = {"user_id", "tenant_id", "email", "name"}


@recipients.on(UserCreated)
def user_created(event: UserCreated) -> Change:
    return Change({**event.model_dump(include=_RECIPIENT), "deleted": False}, version=event.created_at)


@recipients.on(UserUpdated)
def user_updated(event: UserUpdated) -> Change:
    return Change({**event.model_dump(include=_RECIPIENT), "deleted": False}, version=event.updated_at)


@recipients.on(UserDeleted)
def user_deleted(event: UserDeleted) -> Change:
    return Change({"user_id": event.user_id, "tenant_id": event.tenant_id, "deleted": True}, version=event.deleted_at)


# --- the catalogue ----------------------------------------------------------------------------------------------------

_EVENT = {"event_id", "tenant_id", "name"}


@events.on(EventCreated)
def event_created(event: EventCreated) -> Change:
    return Change(event.model_dump(include={*_EVENT, "organizer_id", "status"}), version=event.created_at)


@events.on(EventPublished)
def event_published(event: EventPublished) -> Change:
    return Change({**event.model_dump(include=_EVENT), "status": "published"}, version=event.published_at)


@events.on(EventUpdated)
def event_updated(event: EventUpdated) -> Change:
    gone = {"deleted": True} if "deleted_at" in event.changed else {}
    return Change({**event.model_dump(include={*_EVENT, "status"}), **gone}, version=event.updated_at)


@events.on(EventCancelled)
def event_cancelled(event: EventCancelled) -> Change:
    return Change({**event.model_dump(include=_EVENT), "status": "cancelled"}, version=event.cancelled_at)
