"""Clinic's copies of what others own: users, and the calendar of its bookings."""

from __future__ import annotations

from freehold import Change, View
from systems.petpro.auth.contract import GetUser, SnapshotUsers, UserCreated, UserDeactivated, UserUpdated
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingRescheduled,
    BookingStatusChanged,
    SnapshotBookings,
)
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.tables import Appointment, UserRef

users = clinic.view(
    View(
        "user_refs",
        table=UserRef,
        key="user_id",
        version="version",
        synced="synced_at",
        rebuild=SnapshotUsers,
        one=GetUser,
    )
)
appointments = clinic.view(
    View(
        "clinic_appointments",
        table=Appointment,
        key="booking_id",
        version="version",
        synced="updated_at",
        rebuild=SnapshotBookings,
    )
)


# --- users ------------------------------------------------------------------------------------------------------------


@users.on(UserCreated, UserUpdated)
def user_known(event: UserCreated | UserUpdated) -> Change:
    return Change(event.model_dump(include={"user_id", "full_name", "email", "is_active"}), version=event.version)


@users.on(UserDeactivated)
def user_deactivated(event: UserDeactivated) -> Change:
    return Change({"user_id": event.user_id, "is_active": False}, version=event.version)


# --- the calendar: every event names some columns, in any order -------------------------------------------------------

_NAMED = {
    "booking_id", "clinic_id", "staff_id", "reference_code", "service_name", "pet_name", "starts_at", "ends_at",
    "status",
}  # fmt: skip


@appointments.on(BookingCreated)
def booking_created(event: BookingCreated) -> Change:
    return Change({**event.model_dump(include=_NAMED), "customer_name": event.user_name}, version=event.version)


@appointments.on(BookingConfirmed, BookingCancelled, BookingCompleted, BookingRescheduled, BookingStatusChanged)
def booking_moved(
    event: BookingConfirmed | BookingCancelled | BookingCompleted | BookingRescheduled | BookingStatusChanged,
) -> Change:
    return Change(event.model_dump(include=_NAMED), version=event.version)
