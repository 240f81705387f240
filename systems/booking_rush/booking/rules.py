"""Booking's rules, without a database."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from freehold import Context, Problem, User, round_money
from systems.booking_rush.booking.queue_passes import UNGUARDED, Admission, NotAdmitted
from systems.booking_rush.booking.tables import Booking
from systems.booking_rush.ticket.contract import ZoneForSale

CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without the letters and digits that are taken for each other."""


# --- may this be sold? ------------------------------------------------------------------------------------------------


def check_zone(zone: ZoneForSale, show_id: UUID, event_id: UUID, caller: User) -> None:
    """The zone is the caller's to buy, and of the show and event named. Raises Problem."""
    if zone.show_id != show_id:
        raise Problem(400, "INVALID_SHOW_ID", "The zone is not one of this show's")
    if zone.event_id != event_id:
        raise Problem(400, "INVALID_EVENT_ID", "The zone is not one of this event's")
    if zone.tenant_id != caller.tenant_id:
        raise Problem(403, "TENANT_MISMATCH", "The event is another tenant's")


def check_quantity(zone: ZoneForSale, quantity: int) -> None:
    """Raises Problem when the zone does not sell so many, or so few, at a time."""
    if not zone.min_per_order <= quantity <= zone.max_per_order:
        raise Problem(
            400, "INVALID_QUANTITY", f"This zone sells {zone.min_per_order} to {zone.max_per_order} at a time"
        )


def check_sale(zone: ZoneForSale, now: datetime, closes_before_show: timedelta) -> None:
    """Raises Problem, with the reason, unless the zone is on sale now."""
    reason = _why_closed(zone, now, closes_before_show)
    if reason is not None:
        raise Problem(409, "SALE_NOT_OPEN", reason)


def _why_closed(zone: ZoneForSale, now: datetime, closes_before_show: timedelta) -> str | None:
    reasons = {
        "The organizer's tenant is not active": not zone.tenant_active,
        f"The event is {zone.event_status}": zone.event_status != "published",
        # Whether anything is left is said by the seats, not by the status.
        f"The show is {zone.show_status}": zone.show_status not in ("on_sale", "sold_out"),
        "The zone is not active": not zone.zone_active,
        "The show begins too soon": now >= starts_at(zone) - closes_before_show,
    }
    for what, start, end in (
        ("event", zone.booking_start_at, zone.booking_end_at),
        ("show", zone.show_sale_start_at, zone.show_sale_end_at),
        ("zone", zone.zone_sale_start_at, zone.zone_sale_end_at),
    ):
        reasons[f"The {what}'s sale has not begun"] = start is not None and now < start
        reasons[f"The {what}'s sale has ended"] = end is not None and now > end
    return next((reason for reason, closed in reasons.items() if closed), None)


def starts_at(zone: ZoneForSale) -> datetime:
    """When the show begins."""
    return datetime.combine(zone.show_date, zone.show_time)


def ticket_cap(max_tickets_per_user: int, global_cap: int) -> int:
    """Tickets that one user may have of an event; an event that says 0 has only the global cap."""
    return min(max_tickets_per_user or global_cap, global_cap)


def price_of(unit_price: Decimal, quantity: int) -> Decimal:
    """What so many seats cost."""
    return round_money(unit_price * quantity)


# --- who gets the seats? ----------------------------------------------------------------------------------------------


class ZoneNotCounted(Exception):
    """Booking has no count of the zone yet."""


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """A wish for seats that may be sold; only how many are left, and how many the user has, is to be found out."""

    booking_id: UUID
    user_id: UUID
    quantity: int
    cap: int
    zone: ZoneForSale
    reserved_at: datetime
    expires_at: datetime
    idempotency_key: str | None = None
    admission: Admission = UNGUARDED
    context: Context | None = None
    """The request that it came with, for the audit trail."""

    COLUMNS: ClassVar = (
        "id", "tenant_id", "user_id", "event_id", "show_id", "zone_id", "event_name", "show_date", "show_time",
        "zone_name", "venue_name", "quantity", "unit_price", "total_amount", "currency", "status", "idempotency_key",
        "reserved_at", "reservation_expires_at", "metadata", "created_at", "updated_at",
    )  # fmt: skip
    """Of the bookings table, what `booking` fills."""

    @property
    def zone_id(self) -> UUID:
        return self.zone.zone_id

    @property
    def total_amount(self) -> Decimal:
        return price_of(self.zone.price, self.quantity)

    def keyed(self, key: str) -> SeatRequest:
        """With the client's key, unique among its bookings."""
        return replace(self, idempotency_key=f"{self.user_id}:{key}")

    def booking(self) -> dict[str, Any]:
        """The row of the booking that grants it, with its copy of the catalogue."""
        zone = self.zone
        return {
            "id": self.booking_id,
            "tenant_id": zone.tenant_id,
            "user_id": self.user_id,
            "event_id": zone.event_id,
            "show_id": zone.show_id,
            "zone_id": zone.zone_id,
            "event_name": zone.event_name,
            "show_date": zone.show_date,
            "show_time": zone.show_time,
            "zone_name": zone.zone_name,
            "venue_name": zone.venue_name,
            "quantity": self.quantity,
            "unit_price": zone.price,
            "total_amount": self.total_amount,
            "currency": zone.currency,
            "status": "reserved",
            "idempotency_key": self.idempotency_key,
            "reserved_at": self.reserved_at,
            "reservation_expires_at": self.expires_at,
            "metadata": {"organizer_id": str(zone.organizer_id)},
            "created_at": self.reserved_at,
            "updated_at": self.reserved_at,
        }


def decide(
    requests: Sequence[SeatRequest],
    *,
    left: Mapping[UUID, int],
    held: Mapping[UUID, int],
    closed: Collection[UUID] = (),
    passes: Collection[UUID] = (),
) -> list[Problem | ZoneNotCounted | NotAdmitted | None]:
    """Who gets seats, first come, first served: None for a request that is granted, or what refuses it.

    Args:
        requests: of one event, in the order in which they came.
        left: free seats by zone.
        held: tickets of this event that users have, by user.
        closed: zones that are sold no more.
        passes: queue passes that are out; each is good for one grant.
    """
    left, held, unused = dict(left), dict(held), set(passes)
    return [_decide_one(request, left, held, closed, unused) for request in requests]


def _decide_one(
    request: SeatRequest, left: dict[UUID, int], held: dict[UUID, int], closed: Collection[UUID], passes: set[UUID]
) -> Problem | ZoneNotCounted | NotAdmitted | None:
    not_admitted = request.admission.refusal(passes)
    if not_admitted is not None:
        return not_admitted
    if request.zone_id not in left:
        return ZoneNotCounted(request.zone_id)
    if request.zone_id in closed:
        return Problem(409, "SALE_NOT_OPEN", "The sale was ended by the organizer")
    if left[request.zone_id] < request.quantity:
        return sold_out()
    mine = held.get(request.user_id, 0)
    if mine + request.quantity > request.cap:
        return Problem(409, "MAX_TICKETS_EXCEEDED", f"{request.cap} tickets per person, and you have {mine}")
    left[request.zone_id] -= request.quantity
    held[request.user_id] = mine + request.quantity
    if request.admission.pass_id is not None:
        passes.discard(request.admission.pass_id)
    return None


def sold_out() -> Problem:
    """Fewer seats are left than were asked for."""
    return Problem(409, "INSUFFICIENT_SEATS", "There are not enough seats left")


def padded(ids: Collection[UUID]) -> list[UUID]:
    """As many as the next power of two, by repetition: a statement for each size, not for each number, is prepared."""
    listed = list(ids)
    return listed + listed[-1:] * ((1 << (len(listed) - 1).bit_length()) - len(listed))


# --- what may become of a booking? ------------------------------------------------------------------------------------


def check_held(booking: Booking) -> None:
    """Raises Problem unless its seats are held and not yet sold."""
    match booking.status:
        case "confirmed":
            raise Problem(409, "ALREADY_CONFIRMED", "The booking is confirmed")
        case "cancelled":
            raise Problem(409, "ALREADY_RELEASED", "The booking is cancelled")
        case "expired":
            raise expired()


def expired(*, keep: bool = False) -> Problem:
    """The hold is over."""
    return Problem(410, "EXPIRED", "The hold has expired", keep=keep)


def hold_is_over(booking: Booking, now: datetime) -> bool:
    """Whether a booking holds seats that it must give back."""
    return booking.status == "reserved" and now > booking.reservation_expires_at


def confirmation_code() -> str:
    """A new one: `BK-` and eight characters that nobody misreads."""
    return "BK-" + "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
