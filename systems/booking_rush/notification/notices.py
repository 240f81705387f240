"""Who is told what when something happens: pure functions from events to notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from freehold import Event
from systems.booking_rush.booking.contract import BookingCancelled, BookingConfirmed, BookingExpired, BookingFact
from systems.booking_rush.notification.rules import NotificationType
from systems.booking_rush.notification.wording import Kind
from systems.booking_rush.payment.contract import PaymentCompleted, PaymentFact, PaymentFailed, PaymentRefunded


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell a user. `key` names the occasion; `values` fill the words; `details` are for programs."""

    type: NotificationType
    kind: Kind
    key: str
    tenant_id: UUID
    user_id: UUID
    booking_id: UUID
    values: Mapping[str, Any]
    details: Mapping[str, Any]


def confirmed(event: BookingConfirmed) -> list[Notice]:
    """The confirmation, and the ticket."""
    return [_of_booking(event, "booking_confirmation"), _of_booking(event, "e_ticket")]


def cancelled(event: BookingCancelled) -> list[Notice]:
    """The cancellation; where the payment failed, that was the news, and it names the reason."""
    return [] if event.status_reason == "payment_failed" else [_of_booking(event, "booking_cancelled")]


def expired(event: BookingExpired) -> list[Notice]:
    """The seats are gone."""
    return [_of_booking(event, "booking_expired")]


def paid(event: PaymentCompleted) -> list[Notice]:
    """The receipt."""
    return [_of_payment(event, "payment_receipt", "payment_receipt", "method", "card_brand", "card_last_four")]


def declined(event: PaymentFailed) -> list[Notice]:
    """The reason. A payment that was called off is told to sagas as failed, too; to people its booking says it."""
    if event.status != "failed":
        return []
    return [_of_payment(event, "booking_cancelled", "payment_failed", "error_code", "error_message")]


def refunded(event: PaymentRefunded) -> list[Notice]:
    """The receipt's second part: what went back."""
    return [_of_payment(event, "payment_receipt", "refund_receipt", "refund_amount", "refund_reason")]


NOTICES: dict[type[Event], Callable[[Any], list[Notice]]] = {
    BookingConfirmed: confirmed,
    BookingCancelled: cancelled,
    BookingExpired: expired,
    PaymentCompleted: paid,
    PaymentFailed: declined,
    PaymentRefunded: refunded,
}

_OF_BOOKING = {"event_id", "event_name", "show_id", "show_date", "zone_id", "zone_name", "quantity"}


def _of_booking(event: BookingFact, kind: NotificationType) -> Notice:
    values = event.model_dump(mode="json")
    more = (
        {"confirmation_code", "show_time", "venue_name"} if isinstance(event, BookingConfirmed) else {"status_reason"}
    )
    if "show_time" in values:
        values["show_time"] = values["show_time"][:5]  # people read hours and minutes
    return Notice(
        type=kind,
        kind=kind,
        key=f"{kind}:{event.booking_id}",
        tenant_id=event.tenant_id,
        user_id=event.user_id,
        booking_id=event.booking_id,
        values=values,
        details=event.model_dump(mode="json", include=_OF_BOOKING | more),
    )


def _of_payment(event: PaymentFact, type: NotificationType, kind: Kind, *details: str) -> Notice:
    values = event.model_dump(mode="json")
    if "method" in values:
        values["method"] = values["method"].replace("_", " ")
    return Notice(
        type=type,
        kind=kind,
        key=f"{kind}:{event.payment_id}",
        tenant_id=event.tenant_id,
        user_id=event.user_id,
        booking_id=event.booking_id,
        values=values,
        details=event.model_dump(mode="json", include={"payment_id", "amount", "currency", *details}),
    )
