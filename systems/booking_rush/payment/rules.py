"""Payment's rules, without a database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from freehold import Problem, round_money


def refundable(amount: Decimal, show_date: date, today: date, *, full_days: int = 7, half_days: int = 3) -> Decimal:
    """What the owner of a ticket gets back: all of it when the show is more than `full_days` away, half of it down to
    `half_days`, nothing after that.
    """
    days = (show_date - today).days
    if days > full_days:
        return amount
    if days >= half_days:
        return round_money(amount / 2)
    return Decimal("0.00")


def check_refund_amount(asked: Decimal | None, most: Decimal) -> Decimal:
    """The amount to give back, all that is possible unless less is asked for. Raises Problem."""
    if most <= 0:
        raise Problem(409, "REFUND_NOT_ALLOWED", "The show is too near for a refund")
    if asked is None:
        return most
    if not 0 < asked <= most:
        raise Problem(400, "INVALID_AMOUNT", f"At most {most} can be given back")
    return asked


def check_amount(given: Decimal, currency: str, *, price: Decimal, in_currency: str) -> None:
    """A client pays to the cent what the booking costs. Raises Problem."""
    if (given, currency) != (price, in_currency):
        raise Problem(400, "AMOUNT_MISMATCH", f"The booking costs {price} {in_currency}")


def wait_before_retry(tried: int, waits: tuple[float, ...]) -> float | None:
    """Seconds until the next try after so many retries; None when there is none."""
    return waits[tried] if tried < len(waits) else None


def refund_backoff(tried: int, first: float, longest: float) -> float:
    """Seconds until a refund that failed so many times is tried again."""
    return min(first * 2.0 ** min(tried - 1, 30), longest)
