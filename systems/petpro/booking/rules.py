"""Booking's rules, without a database."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from freehold import Problem, round_money
from systems.petpro.booking.contract import BookingStatus

Actor = Literal["customer", "clinic", "admin", "system"]

LIVE: tuple[BookingStatus, ...] = ("pending_payment", "pending_approval", "confirmed", "in_progress")
"""Bookings that are still to come, or under way."""
CANCELLABLE: tuple[BookingStatus, ...] = ("pending_payment", "pending_approval", "confirmed")
_TRANSITIONS: Mapping[str, Collection[str]] = {
    "pending_payment": ("pending_approval", "confirmed", "cancelled"),
    "pending_approval": ("confirmed", "cancelled"),
    "confirmed": ("in_progress", "cancelled", "no_show"),
    "in_progress": ("completed",),
}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


# --- money ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Split:
    """Who gets what of an amount that a customer paid, or got back; the three parts add up to it."""

    total: Decimal
    tax: Decimal
    platform_fee: Decimal
    clinic_amount: Decimal

    def __neg__(self) -> Split:
        return Split(-self.total, -self.tax, -self.platform_fee, -self.clinic_amount)

    def __sub__(self, other: Split) -> Split:
        return Split(
            self.total - other.total,
            self.tax - other.tax,
            self.platform_fee - other.platform_fee,
            self.clinic_amount - other.clinic_amount,
        )


def split(amount: Decimal, commission_rate: Decimal, tax_rate: Decimal) -> Split:
    """Split an amount that includes its tax; the rates in percent."""
    tax = round_money(amount * tax_rate / (100 + tax_rate))
    platform_fee = round_money((amount - tax) * commission_rate / 100)
    return Split(amount, tax, platform_fee, amount - tax - platform_fee)


def refund_percent(by: Actor, status: BookingStatus, starts_at: datetime, now: datetime) -> int:
    """How much of the price comes back when a booking is cancelled now."""
    if by != "customer" or status == "pending_approval":
        return 100
    left = starts_at - now
    if left >= timedelta(hours=48):
        return 100
    return 50 if left >= timedelta(hours=24) else 0


def share(amount: Decimal, percent: int) -> Decimal:
    """So many percent of an amount."""
    return round_money(amount * percent / 100)


def refund_wait(tries: int, first: float, longest: float) -> timedelta:
    """How long to wait after so many refunds that failed."""
    return timedelta(seconds=min(first * 2 ** min(tries - 1, 30), longest))


# --- states -----------------------------------------------------------------------------------------------------------


def check_transition(before: BookingStatus, after: BookingStatus) -> None:
    """Raises Problem 409 for a way that a booking does not go."""
    if after not in _TRANSITIONS.get(before, ()):
        raise invalid_transition(before, after)


def invalid_transition(before: str, after: str, detail: str = "") -> Problem:
    """409: this state does not follow on that one, or not yet."""
    return Problem(
        409,
        "INVALID_STATUS_TRANSITION",
        detail or f"What is {before} cannot become {after}",
        details={"from": before, "to": after},
    )


def approval_deadline(paid_at: datetime, starts_at: datetime, window: timedelta, before_start: timedelta) -> datetime:
    """Until when a clinic may approve."""
    return min(paid_at + window, starts_at - before_start)


def reference_code(chance: random.Random) -> str:
    """`BP` and eight digits."""
    return f"BP{chance.randrange(10**8):08d}"


# --- time at the clinic -----------------------------------------------------------------------------------------------


def instant(day: date, at: time, timezone: str) -> datetime:
    """The moment of a clinic's local time, in UTC."""
    return datetime.combine(day, at, ZoneInfo(timezone)).astimezone(UTC)


def local(moment: datetime, timezone: str) -> datetime:
    """The clinic's local time of a moment; what says no zone is local already."""
    return moment.replace(tzinfo=None) if moment.tzinfo is None else moment.astimezone(ZoneInfo(timezone))


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of time on a day."""

    start: time
    end: time

    def overlaps(self, other: Hours) -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: Hours) -> bool:
        return self.start <= other.start and other.end <= self.end


def opening(operating_hours: Mapping[str, Any], day: date) -> Hours | None:
    """When a clinic is open on a day; None when it is not. One that tells no hours at all is always open."""
    if not operating_hours:
        return Hours(time.min, time.max)
    told = operating_hours.get(DAYS[day.weekday()]) or {}
    if not told.get("is_open", told.get("isOpen", bool(told))):
        return None
    return Hours(time.fromisoformat(told["open"]), time.fromisoformat(told["close"]))


def back_to_back(window: Hours, minutes: int) -> Iterator[Hours]:
    """The stretches of so many minutes that fit in the window, one after another."""
    step, day = timedelta(minutes=minutes), date(2000, 1, 1)
    start, end = datetime.combine(day, window.start), datetime.combine(day, window.end)
    while start + step <= end:
        yield Hours(start.time(), (start + step).time())
        start += step


# --- may this slot be reserved? ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reservation depends on beside the seat itself."""

    starts_at: datetime
    slot_date: date
    slot_status: str
    clinic_status: str
    is_available: bool
    offering_active: bool
    exceptions: Collection[Any]
    live_of_pet: int


def check_wish(wish: Wish, now: datetime, lead: timedelta, most_per_pet: int) -> None:
    """Raises Problem 422 with the rule that refuses the reservation."""
    if wish.clinic_status != "approved":
        raise Problem(422, "CLINIC_NOT_APPROVED", "The clinic takes no bookings now")
    if not (wish.is_available and wish.offering_active):
        raise Problem(422, "SERVICE_NOT_AVAILABLE", "The clinic does not offer this service now")
    if wish.slot_status == "blocked":
        raise Problem(422, "SLOT_BLOCKED", "The clinic has blocked this slot")
    if wish.slot_date.isoformat() in wish.exceptions:
        raise Problem(422, "DATE_EXCEPTED", "The service is not available on this date")
    if wish.starts_at < now + lead:
        raise Problem(422, "LEAD_TIME", f"Reserve at least {lead.total_seconds() / 60:g} minutes before the start")
    if wish.live_of_pet >= most_per_pet:
        raise Problem(422, "PET_LIMIT", f"A pet has {most_per_pet} bookings or reservations at most")
