"""What siblings are told of bookings."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from freehold import Event
from systems.petpro.booking.contract import BookingNotification, FinancialEntryRecorded
from systems.petpro.booking.money_tables import FinancialEntry
from systems.petpro.booking.tables import Booking

E = TypeVar("E", bound=Event)
Notice = Literal["booking_confirmed", "approval_pending", "booking_cancelled", "booking_rescheduled"]
_WORDS: dict[Notice, tuple[str, str]] = {
    "booking_confirmed": ("Booking confirmed", "Your appointment {code} is confirmed."),
    "approval_pending": ("Waiting for the clinic", "Your appointment {code} is paid; the clinic has to approve it."),
    "booking_cancelled": ("Booking cancelled", "Your appointment {code} was cancelled."),
    "booking_rescheduled": ("Booking moved", "Your appointment {code} has a new time."),
}


def fact(kind: type[E], booking: Booking, **more: Any) -> E:
    """An event about a booking: fields that are called as its columns have their values, `more` says the others."""
    own = {name: getattr(booking, name) for name in kind.model_fields if name not in more and hasattr(booking, name)}
    return kind.model_validate({"booking_id": booking.id, "currency": "IDR", **own, **more})


def notice(what: Notice, booking: Booking, **data: Any) -> BookingNotification:
    """What its customer is told."""
    title, text = _WORDS[what]
    told = {"reference_code": booking.reference_code, "status": booking.status, **data}
    return BookingNotification(
        user_id=booking.user_id,
        booking_id=booking.id,
        type=what,
        title=title,
        content=text.format(code=booking.reference_code),
        data=told,
    )


def entry_recorded(entry: FinancialEntry) -> FinancialEntryRecorded:
    """An entry as it is now."""
    names = set(FinancialEntryRecorded.model_fields) - {"entry_id", "recorded_at"}
    own = {name: getattr(entry, name) for name in names}
    return FinancialEntryRecorded.model_validate({"entry_id": entry.id, "recorded_at": entry.updated_at, **own})
