"""What the figures of the views mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from systems.petpro.views.bookings import payment_version
from systems.petpro.views.rules import Figures, Item, availability, effective_price

DAY = datetime(2030, 1, 7, tzinfo=UTC)


def item(status: str, *, order: int = 1, quantity: int = 2, hours: float | None = None, day: int = 0) -> Item:
    ordered = DAY + timedelta(days=day)
    delivered = None if hours is None else ordered + timedelta(hours=hours)
    return Item(order, quantity, Decimal("100.00"), Decimal("10.00"), status, ordered, delivered)


@pytest.mark.parametrize(
    ("is_active", "available", "threshold", "says"),
    [
        (False, 9, 5, "inactive"), (False, 0, 5, "inactive"), (True, 0, 5, "out_of_stock"), (True, 5, 5, "low_stock"),
        (True, 6, 5, "in_stock"), (True, 1, 0, "in_stock"),
    ],
)  # fmt: skip
def test_whether_a_product_can_be_bought(is_active: bool, available: int, threshold: int, says: str) -> None:
    assert availability(is_active, available, threshold) == says


def test_a_sale_price_counts_while_it_is_on_sale() -> None:
    regular, sale = Decimal("10.00"), Decimal("8.00")
    assert [effective_price(regular, sale, True), effective_price(regular, sale, False)] == [sale, regular]
    assert effective_price(regular, None, True) == regular


def test_the_figures_of_a_vendor() -> None:
    figures = Figures.of(
        [
            item("delivered", hours=10),
            item("delivered", order=2, hours=11.005, quantity=1, day=1),
            item("cancelled", order=2, quantity=1, day=1),
            item("refunded", order=3),  # cancelled after it was paid
            item("refunded", order=4, hours=5),  # sent back
            item("shipped", order=5),
        ]
    )
    assert figures == Figures(
        orders_total=5, items_sold=3, items_cancelled=3, gross_revenue=Decimal("200.00"),
        commission_total=Decimal("20.00"), cancellation_rate=Decimal("30.00"),
        avg_fulfilment_hours=Decimal("10.50"), last_order_at=DAY + timedelta(days=1),
    )  # fmt: skip


def test_a_vendor_without_items_has_no_average() -> None:
    figures = Figures.of([])
    assert (figures.cancellation_rate, figures.avg_fulfilment_hours, figures.last_order_at) == (Decimal(0), None, None)


def test_averages_are_rounded_half_up() -> None:
    assert Figures.of([item("delivered", hours=1.005)]).avg_fulfilment_hours == Decimal("1.01")
    rate = Figures.of([item("cancelled", quantity=1), item("shipped", quantity=2)]).cancellation_rate
    assert rate == Decimal("33.33")


def test_of_one_moment_the_later_state_of_a_payment_is_newer() -> None:
    order = ["pending", "failed", "success", "refund_pending", "partially_refunded", "refunded"]
    versions = [payment_version(DAY, status) for status in order]
    assert versions == sorted(set(versions))
    assert payment_version(DAY + timedelta(microseconds=1), "pending") > versions[-1]
