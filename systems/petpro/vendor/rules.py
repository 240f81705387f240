"""The rules of orders, prices and payouts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from freehold import Problem, round_money
from systems.petpro.vendor.contract import OrderStatus

CENT = Decimal("0.01")
ADVANCE: Sequence[OrderStatus] = ("pending", "processing", "shipped", "delivered")
"""The states of what lives, in their order."""

ITEM_TRANSITIONS: Mapping[str, Collection[str]] = {
    "pending": ("processing", "cancelled"),
    "processing": ("shipped", "cancelled"),
    "shipped": ("delivered",),
    "delivered": ("refunded",),
    "cancelled": ("refunded",),
    "refunded": (),
}
VENDOR_TRANSITIONS: Mapping[str, Collection[str]] = {
    "pending": ("approved", "rejected"),
    "approved": ("suspended",),
    "suspended": ("approved",),
    "rejected": ("pending",),
}
PAYOUT_TRANSITIONS: Mapping[str, Collection[str]] = {
    "pending": ("processing",),
    "processing": ("completed", "failed"),
    "failed": ("processing",),
    "completed": (),
}


def check_transition(before: str, after: str, transitions: Mapping[str, Collection[str]] = ITEM_TRANSITIONS) -> None:
    """Raises Problem 409 unless the one may follow the other."""
    if after not in transitions[before]:
        raise Problem(
            409,
            "INVALID_STATUS_TRANSITION",
            f"What is {before} cannot become {after}",
            details={"from": before, "to": after},
        )


def order_status(items: Collection[OrderStatus]) -> OrderStatus:
    """An order's state: the least advanced of its living items."""
    living = [status for status in items if status in ADVANCE]
    if living:
        return min(living, key=ADVANCE.index)
    return "refunded" if all(status == "refunded" for status in items) else "cancelled"


def order_number(year: int, running: int) -> str:
    """As customers read it."""
    return f"PO-{year}-{running:05d}"


# --- prices -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Price:
    """What a line costs, and what of it the platform keeps. `tax` comes on top of the subtotal."""

    subtotal: Decimal
    tax: Decimal
    commission: Decimal


def price(unit_price: Decimal, quantity: int, tax_rate: Decimal, commission_rate: Decimal) -> Price:
    """The price of so many units; rates in per cent."""
    subtotal = unit_price * quantity
    return Price(subtotal, _share(subtotal, tax_rate), _share(subtotal, commission_rate))


def _share(amount: Decimal, rate: Decimal) -> Decimal:
    return round_money(amount * rate / 100)


# --- payouts ----------------------------------------------------------------------------------------------------------


def take_back(earned: Decimal, owed: Sequence[Decimal]) -> list[Decimal]:
    """How much of each debt a payout of so much takes back: as much as it can, but something has to be paid out."""
    left, taken = max(earned - CENT, Decimal(0)), []
    for debt in owed:
        taken.append(min(debt, left))
        left -= taken[-1]
    return taken


def last_run(now: datetime) -> datetime:
    """The latest moment at which payouts were due: Monday, 02:00 UTC."""
    monday = now.date() - timedelta(days=now.weekday())
    run = datetime.combine(monday, time(2), now.tzinfo)
    return run if run <= now else run - timedelta(days=7)


def wait_before_retry(tries: int) -> timedelta:
    """How long after so many failed tries a refund is tried again: a minute, doubled each time up to an hour."""
    return min(timedelta(minutes=2 ** min(tries - 1, 6)), timedelta(hours=1))
