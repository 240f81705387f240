"""The words of notifications: what holds without a row in `templates`, and how `$names` are filled in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from string import Template as Text
from typing import Any, Literal, get_args

from sqlalchemy import select

from freehold import Tx
from systems.booking_rush.notification.tables import SUBJECT_LENGTH, Template

Kind = Literal[
    "booking_confirmation",
    "e_ticket",
    "payment_receipt",
    "refund_receipt",
    "booking_expired",
    "booking_cancelled",
    "payment_failed",
]
"""Finer than a notification's type: a refund is told by a receipt, a declined card by a cancellation."""
KINDS: tuple[Kind, ...] = get_args(Kind)
FALLBACK_LOCALE = "en"


@dataclass(frozen=True, slots=True)
class Wording:
    """A subject and a body with `$names`."""

    subject: str
    body: str

    def fill(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """Subject and body. A name without a value stays as it is: a notification is not lost for a slip in words."""
        said = {name: "-" if value is None else value for name, value in values.items()}
        subject, body = (Text(text).safe_substitute(said) for text in (self.subject, self.body))
        return subject[:SUBJECT_LENGTH], body


DEFAULTS: dict[Kind, Wording] = {
    "booking_confirmation": Wording(
        "Your booking for $event_name is confirmed",
        "Your booking $confirmation_code is confirmed: $quantity x $zone_name for $event_name on $show_date at "
        "$show_time, $venue_name. Total: $total_amount $currency.",
    ),
    "e_ticket": Wording(
        "Your tickets for $event_name",
        "$event_name\n$venue_name\n$show_date, $show_time\n$zone_name, admits $quantity\n\n"
        "Show this code at the entrance: $confirmation_code",
    ),
    "payment_receipt": Wording(
        "Receipt for your payment of $amount $currency",
        "We received $amount $currency by $method. Payment: $payment_id. Booking: $booking_id.",
    ),
    "refund_receipt": Wording(
        "Your refund of $refund_amount $currency",
        "Of your payment of $amount $currency we gave back $refund_amount $currency. Payment: $payment_id. "
        "Booking: $booking_id.",
    ),
    "booking_expired": Wording(
        "Your seats for $event_name were released",
        "$quantity x $zone_name for $event_name on $show_date were not paid for in time and are on sale again.",
    ),
    "booking_cancelled": Wording(
        "Your booking for $event_name is cancelled",
        "Your booking of $quantity x $zone_name for $event_name on $show_date is cancelled. "
        "What you paid for it, if anything, is returned as our refund terms say.",
    ),
    "payment_failed": Wording(
        "Your booking is cancelled: the payment did not go through",
        "Your payment of $amount $currency was declined: $error_message. The booking $booking_id is cancelled and "
        "nothing was charged.",
    ),
}


async def wordings(kinds: Collection[Kind], locale: str, tx: Tx) -> dict[Kind, Wording]:
    """The words to use: an active template in the locale, else one in English, else the defaults."""
    rows = await tx.scalars(
        select(Template).where(
            Template.type.in_(kinds), Template.locale.in_({locale, FALLBACK_LOCALE}), Template.is_active
        )
    )
    kept = {(row.type, row.locale): Wording(row.subject, row.body) for row in rows}
    return {kind: kept.get((kind, locale)) or kept.get((kind, FALLBACK_LOCALE)) or DEFAULTS[kind] for kind in kinds}
