"""The rules of the catalogue and of its seats: pure functions, no database."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from freehold import Problem, User
from systems.booking_rush.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingFact,
    BookingReserved,
)
from systems.booking_rush.ticket.contract import EventStatus, ShowStatus
from systems.booking_rush.ticket.tables import Event, Show, Zone

ADMINS = ("admin", "super_admin")
EDITORS = ("organizer", *ADMINS)

# --- names ------------------------------------------------------------------------------------------------------------


def slug_of(name: str, limit: int = 240) -> str:
    """Lower-cased, everything that is not alphanumeric a `-`, trimmed."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:limit].strip("-") or "event"


def free_slug(wanted: str, taken: Collection[str]) -> str:
    """The slug, or the first of `-2`, `-3`, … that is not taken."""
    number, slug = 1, wanted
    while slug in taken:
        number += 1
        slug = f"{wanted}-{number}"
    return slug


def released_slug(slug: str, id: object) -> str:
    """What a deleted row's slug becomes: unique, and free for the next."""
    return f"{slug[:50]}~{id}"[:100]


def time_of_day(given: Any) -> Any:
    """A time with its zone, or the time part of a full ISO 8601 instant. Raises ValueError on other text."""
    if not isinstance(given, str):
        return given
    read = datetime.fromisoformat(given).timetz() if re.match(r"\d{4}-", given) else time.fromisoformat(given)
    if read.tzinfo is None:
        raise ValueError("has no time zone: write 19:30+07:00 or 12:30Z")
    return read


# --- who may --------------------------------------------------------------------------------------------------------


def may_edit(event: Event, caller: User | None) -> bool:
    """Its organizer and the admins of its tenant may, and a super_admin."""
    if caller is None:
        return False
    if caller.has_role("super_admin"):
        return True
    same_tenant = caller.tenant_id == event.tenant_id
    return same_tenant and (event.organizer_id == caller.id or caller.has_role("admin"))


def require_may_edit(event: Event, caller: User) -> None:
    """403 for an organizer who is not the event's."""
    if not may_edit(event, caller):
        raise Problem(403, "FORBIDDEN", "This event belongs to another organizer")


# --- life cycles ------------------------------------------------------------------------------------------------------

OPEN_SHOWS: frozenset[ShowStatus] = frozenset({"scheduled", "on_sale", "sold_out"})
SELLING: frozenset[ShowStatus] = frozenset({"on_sale", "sold_out"})

BY_OWNER: dict[ShowStatus, frozenset[ShowStatus]] = {
    "scheduled": frozenset({"on_sale", "cancelled"}),
    "on_sale": frozenset({"scheduled", "cancelled"}),
    "sold_out": frozenset({"scheduled", "cancelled"}),
}
"""What the owner may make of a show; sold_out and completed come by themselves."""


def require_publishable(event: Event, has_active_zone: bool) -> None:
    """409 unless it is a draft with something to sell."""
    if event.status != "draft":
        raise Problem(409, "CONFLICT", f"Only a draft can be published; this event is {event.status}")
    if not has_active_zone:
        raise Problem(409, "CONFLICT", "The event needs a show with at least one active zone")


def require_cancellable(event: Event) -> None:
    """409 when it is over."""
    if event.status not in ("draft", "published"):
        raise Problem(409, "INVALID_STATUS_TRANSITION", f"The event is {event.status} already")


def require_event_transition(event: Event, wanted: EventStatus, committed: int) -> None:
    """The only one by update is back to draft, while nothing is reserved or sold."""
    if event.status != "published" or wanted != "draft":
        raise illegal(event.status, wanted)
    if committed:
        raise illegal(event.status, wanted, ": seats are reserved or sold")


def require_show_transition(event: Event, show: Show, wanted: ShowStatus) -> None:
    """409 for what the owner cannot do, or not now."""
    if wanted not in BY_OWNER.get(show.status, frozenset()):
        raise illegal(show.status, wanted)
    if wanted == "on_sale" and event.status != "published":
        raise illegal(show.status, wanted, f": its event is {event.status}")


def require_open(event: Event, show: Show | None = None) -> None:
    """409 for a new show or zone of something that is over."""
    if event.status not in ("draft", "published") or (show and show.status not in OPEN_SHOWS):
        raise Problem(409, "CONFLICT", "It is cancelled or completed")


def illegal(now: str, wanted: str, why: str = "") -> Problem:
    """409."""
    return Problem(409, "INVALID_STATUS_TRANSITION", f"{now} cannot become {wanted}{why}")


def require_no_bookings(committed: int) -> None:
    """409 when any seat is reserved or sold."""
    if committed:
        raise Problem(409, "HAS_BOOKINGS", f"{committed} seats are reserved or sold; cancel instead")


def is_paused(show: Show) -> bool:
    """Whether its owner stopped the sale, so that the clock must not start it again."""
    return bool(show.settings.get("paused"))


def is_over(show: Show, now: datetime) -> bool:
    """Whether the show's date has passed where it takes place."""
    return now.astimezone(show.start_time.tzinfo).date() > show.show_date


def is_event_over(shows: Iterable[Show]) -> bool:
    """Whether every show is completed or cancelled, and one took place."""
    statuses = {show.status for show in shows}
    return "completed" in statuses and statuses <= {"completed", "cancelled"}


def sale_status(shows: Iterable[ShowStatus]) -> str:
    """An event's, from its shows."""
    statuses = set(shows)
    if "on_sale" in statuses:
        return "on_sale"
    if "scheduled" in statuses or not statuses:
        return "scheduled"
    if statuses == {"sold_out"}:
        return "sold_out"
    return "cancelled" if statuses == {"cancelled"} else "completed"


def is_selling(event: Event, show: Show) -> bool:
    """Whether reservations are taken: a sold-out show is on sale with no seat left, which the live counter decides."""
    return event.status == "published" and event.deleted_at is None and show.status in SELLING


# --- seats ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    """How many seats change from one state to another; negative ones leave it."""

    available: int = 0
    reserved: int = 0
    sold: int = 0

    def __add__(self, other: Move) -> Move:
        return Move(self.available + other.available, self.reserved + other.reserved, self.sold + other.sold)


def move_of(fact: BookingFact) -> Move:
    """What an event of a booking does to the seats of its zone."""
    quantity = fact.quantity
    match fact:
        case BookingReserved():
            return Move(available=-quantity, reserved=quantity)
        case BookingConfirmed():
            return Move(reserved=-quantity, sold=quantity)
        case BookingCancelled(previous_status="confirmed"):
            return Move(available=quantity, sold=-quantity)
        case BookingCancelled() | BookingExpired():
            return Move(available=quantity, reserved=-quantity)
    raise TypeError(f"{type(fact).__name__} moves no seats")


def apply(move: Move, zone: Zone, show: Show) -> None:
    """Move the seats. What the CHECKs of the tables do not allow fails when it is written: it is never clamped."""
    zone.available_seats += move.available
    zone.reserved_seats += move.reserved
    zone.sold_seats += move.sold
    if zone.deleted_at is None:
        show.reserved_count += move.reserved
        show.sold_count += move.sold


def resize(zone: Zone, show: Show, total_seats: int) -> int:
    """Give the zone so many seats; how many were added. Raises 409 when more are reserved or sold."""
    if total_seats < zone.committed_seats:
        raise Problem(409, "BELOW_COMMITTED", f"{zone.committed_seats} seats are reserved or sold")
    added = total_seats - zone.total_seats
    zone.total_seats = total_seats
    zone.available_seats += added
    show.total_capacity += added
    return added


def sellout(show: Show, seats_left: int) -> ShowStatus:
    """The status of a selling show by its seats: sold out with the last one, on sale again when one comes back."""
    if show.status not in SELLING:
        return show.status
    return "on_sale" if seats_left > 0 else "sold_out"
