"""What other services may ask of notification. They do not rely on it: every flow goes on without an answer."""

from __future__ import annotations

from uuid import UUID

from freehold import Command, Event, Timestamp
from systems.booking_rush.booking.contract import BookingConfirmed


class ConfirmationTaken(
    Event, name="notification.confirmation_taken", topic="saga.booking.send-notification.event", key="booking_id"
):
    """Answers `SendConfirmation`: the buyer will be told, or was already."""

    booking_id: UUID
    taken_at: Timestamp


class SendConfirmation(Command, name="notification.send_confirmation", key="booking_id"):
    """Tell the buyer that the booking is confirmed: once, whoever else tells of it.

    Answered by `notification.confirmation_taken`.
    """

    booking_id: UUID
    confirmed: BookingConfirmed
