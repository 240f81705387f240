"""Notification's rules, without a database: when to send again, and how reports cut time into periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from freehold import Problem

NotificationType = Literal[
    "booking_confirmation", "e_ticket", "payment_receipt", "booking_expired", "booking_cancelled"
]
Channel = Literal["email", "sms", "push"]
NotificationStatus = Literal["pending", "sent", "failed", "retrying"]
Period = Literal["day", "week", "month"]

COMPARED = timedelta(days=30)
"""A dashboard compares the last thirty days with the thirty before them."""
DEFAULT_DAYS = 30
MAX_PERIODS = 400


def wait_before_retry(tried: int, first: float, longest: float) -> timedelta:
    """How long a notification that failed so many times waits; `first` and `longest` in seconds."""
    return timedelta(seconds=min(first * 2.0 ** min(tried - 1, 30), longest))


def change_percent(now: Decimal | int, before: Decimal | int) -> Decimal | None:
    """By how much something grew, to two decimals; None when there was nothing to compare with."""
    if not before:
        return None
    return (Decimal(now - before) * 100 / Decimal(before)).quantize(Decimal("0.01"), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days in UTC, from the first to the last."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        """The moment it begins."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def until(self) -> datetime:
        """The moment it is over."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)


def chosen_span(first: date | None, last: date | None, today: date) -> Span:
    """The days asked for: up to today, and thirty of them, unless told otherwise. Raises Problem."""
    end = last or (max(today, first) if first else today)
    span = Span(first or end - timedelta(days=DEFAULT_DAYS - 1), end)
    if span.first > span.last:
        raise Problem(400, "VALIDATION_ERROR", "start_date: it is after end_date")
    return span


def periods(span: Span, by: Period) -> list[Span]:
    """The span cut at every midnight, Monday or first of the month. Raises Problem for too many pieces."""
    found: list[Span] = []
    first = span.first
    while first <= span.last:
        if len(found) == MAX_PERIODS:
            raise Problem(400, "VALIDATION_ERROR", f"period: that makes more than {MAX_PERIODS} periods; ask for less")
        following = _next(first, by)
        found.append(Span(first, min(following - timedelta(days=1), span.last)))
        first = following
    return found


def _next(day: date, by: Period) -> date:
    """The first day of the period after the one that the day is in."""
    match by:
        case "day":
            return day + timedelta(days=1)
        case "week":
            return day + timedelta(days=7 - day.weekday())
        case "month":
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
