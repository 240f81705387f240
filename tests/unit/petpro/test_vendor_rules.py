"""The rules of orders, prices and payouts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold import Problem
from systems.petpro.vendor.contract import OrderStatus
from systems.petpro.vendor.order_bodies import WantedItem
from systems.petpro.vendor.placing import Offer, choose
from systems.petpro.vendor.rules import (
    ITEM_TRANSITIONS,
    PAYOUT_TRANSITIONS,
    VENDOR_TRANSITIONS,
    check_transition,
    last_run,
    order_number,
    order_status,
    price,
    take_back,
    wait_before_retry,
)
from systems.petpro.vendor.tables import Listing, Vendor

START = datetime(2029, 1, 1, tzinfo=UTC)
amounts = st.decimals(Decimal("0.01"), Decimal("9999999.99"), places=2)


def test_prices_of_the_specification() -> None:
    a = price(Decimal("85000.00"), 2, Decimal(11), Decimal(10))
    b = price(Decimal("42500.00"), 3, Decimal(11), Decimal("12.5"))
    assert a.subtotal + a.tax + b.subtotal + b.tax == Decimal("330225.00")
    assert a.subtotal - a.commission == Decimal("153000.00")
    assert b.subtotal - b.commission == Decimal("111562.50")


def test_taxes_are_rounded_half_up_once() -> None:
    assert price(Decimal("0.05"), 10, Decimal(11), Decimal(1)).tax == Decimal("0.06")  # 0.055
    assert price(Decimal("0.05"), 10, Decimal(11), Decimal(1)).commission == Decimal("0.01")  # 0.005


@pytest.mark.parametrize(
    ("items", "order"),
    [
        (("pending", "pending"), "pending"),
        (("processing", "shipped"), "processing"),
        (("delivered", "shipped"), "shipped"),
        (("delivered", "cancelled", "refunded"), "delivered"),
        (("cancelled", "refunded"), "cancelled"),
        (("refunded", "refunded"), "refunded"),
    ],
)
def test_an_orders_state_is_the_least_advanced_of_its_living_items(
    items: tuple[OrderStatus, ...], order: OrderStatus
) -> None:
    assert order_status(items) == order


@pytest.mark.parametrize("transitions", [ITEM_TRANSITIONS, VENDOR_TRANSITIONS, PAYOUT_TRANSITIONS])
def test_only_listed_transitions_are_made(transitions: dict[str, tuple[str, ...]]) -> None:
    for before, after in product(transitions, repeat=2):
        if after in transitions[before]:
            check_transition(before, after, transitions)
        else:
            with pytest.raises(Problem) as refused:
                check_transition(before, after, transitions)
            assert refused.value.code == "INVALID_STATUS_TRANSITION"
            assert refused.value.extra == {"details": {"from": before, "to": after}}


def test_order_numbers_have_five_digits_or_more() -> None:
    assert order_number(2030, 7) == "PO-2030-00007"
    assert len(order_number(2030, 123_456_789)) <= 20


@given(amounts, st.lists(amounts, max_size=8))
def test_debts_are_taken_back_as_far_as_something_is_paid_out(earned: Decimal, owed: list[Decimal]) -> None:
    taken = take_back(earned, owed)
    assert all(0 <= part <= debt for part, debt in zip(taken, owed, strict=True))
    assert earned - sum(taken) == max(earned - sum(owed), Decimal("0.01"))


@given(st.integers(0, 10**8).map(lambda seconds: START + timedelta(seconds=seconds)))
def test_payouts_are_due_on_mondays_at_two(now: datetime) -> None:
    run = last_run(now)
    assert run <= now < run + timedelta(days=7)
    assert (run.weekday(), run.hour, run.minute) == (0, 2, 0)


def test_refunds_are_retried_ever_more_patiently() -> None:
    waits = [wait_before_retry(tries).total_seconds() / 60 for tries in range(1, 10)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


# --- which offer ------------------------------------------------------------------------------------------------------

FOOD = UUID(int=100)


def offer(number: int, cents: int) -> Offer:
    listing = Listing(id=UUID(int=number), product_id=FOOD, marketplace_price=Decimal(cents) / 100)
    return Offer(listing, Vendor(id=UUID(int=number)))


def test_the_cheapest_offer_is_chosen_and_of_equal_ones_that_of_the_first_vendor() -> None:
    offers = {FOOD: [offer(3, 500), offer(2, 400), offer(1, 400)]}
    ((chosen, quantity),) = choose([WantedItem(product_id=FOOD, quantity=2)], offers)
    assert (chosen.vendor.id, quantity) == (UUID(int=1), 2)


def test_lines_of_one_vendor_and_product_are_merged() -> None:
    offers = {FOOD: [offer(1, 400), offer(2, 500)]}
    wishes = [
        WantedItem(product_id=FOOD, quantity=2),
        WantedItem(product_id=FOOD, vendor_id=UUID(int=2), quantity=1),
        WantedItem(product_id=FOOD, vendor_id=UUID(int=1), quantity=3),
    ]
    assert [(o.vendor.id.int, quantity) for o, quantity in choose(wishes, offers)] == [(1, 5), (2, 1)]


def test_what_nobody_sells_is_named() -> None:
    with pytest.raises(Problem) as refused:
        choose([WantedItem(product_id=FOOD, vendor_id=UUID(int=9), quantity=1)], {FOOD: [offer(1, 400)]})
    assert (refused.value.status, refused.value.code) == (422, "NOT_FOR_SALE")
    assert refused.value.extra == {"details": [{"productId": str(FOOD)}]}
