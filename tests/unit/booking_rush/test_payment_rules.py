"""Payment's rules and its state machine, without a database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freehold import Problem
from systems.booking_rush.payment.gateway import smallest_unit
from systems.booking_rush.payment.rules import (
    check_amount,
    check_refund_amount,
    refund_backoff,
    refundable,
    wait_before_retry,
)
from systems.booking_rush.payment.tables import IllegalTransition, Payment
from tests.unit.booking_rush.zones import NOW

money = st.decimals(Decimal("0.01"), 9_999_999, places=2)
SHOW_DATE = date(2030, 3, 1)


@pytest.mark.parametrize(
    ("days", "back"),
    [(10, "4000.00"), (8, "4000.00"), (7, "2000.00"), (3, "2000.00"), (2, "0.00"), (0, "0.00"), (-1, "0.00")],
)
def test_refund_policy(days: int, back: str) -> None:
    assert refundable(Decimal("4000.00"), SHOW_DATE, SHOW_DATE - timedelta(days=days)) == Decimal(back)


@given(money, st.integers(-30, 30))
def test_a_refund_is_whole_cents_and_never_more_than_was_paid(amount: Decimal, days: int) -> None:
    back = refundable(amount, SHOW_DATE, SHOW_DATE - timedelta(days=days))
    assert Decimal(0) <= back <= amount
    assert back == back.quantize(Decimal("0.01"))


def test_half_a_cent_is_rounded_up() -> None:
    assert refundable(Decimal("0.05"), SHOW_DATE, SHOW_DATE - timedelta(days=5)) == Decimal("0.03")


@given(money)
def test_gateways_count_in_the_smallest_unit(amount: Decimal) -> None:
    assert Decimal(smallest_unit(amount)) / 100 == amount


def test_refund_amounts() -> None:
    most = Decimal("100.00")
    assert check_refund_amount(None, most) == most
    assert check_refund_amount(Decimal("0.01"), most) == Decimal("0.01")
    for asked, bound, code in ((Decimal("100.01"), most, "INVALID_AMOUNT"), (None, Decimal(0), "REFUND_NOT_ALLOWED")):
        with pytest.raises(Problem, match=code):
            check_refund_amount(asked, bound)


def test_amounts_are_compared_to_the_cent() -> None:
    check_amount(Decimal("6000"), "THB", price=Decimal("6000.00"), in_currency="THB")
    for given_, currency in ((Decimal("5999.99"), "THB"), (Decimal("6000.00"), "USD")):
        with pytest.raises(Problem, match="AMOUNT_MISMATCH"):
            check_amount(given_, currency, price=Decimal("6000.00"), in_currency="THB")


def test_waits() -> None:
    assert [wait_before_retry(tried, (1.0, 2.0, 4.0)) for tried in range(4)] == [1.0, 2.0, 4.0, None]
    assert [refund_backoff(tried, 5.0, 300.0) for tried in (1, 2, 3, 10, 10_000)] == [5, 10, 20, 300, 300]


# --- the state machine ------------------------------------------------------------------------------------------------

ALLOWED = {
    "pending": {"process", "succeed", "fail", "cancel"},
    "processing": {"succeed", "fail"},
    "succeeded": {"ask_refund"},
    "refund_pending": {"refund"},
    "failed": set(),
    "cancelled": set(),
    "refunded": set(),
}


class PaymentLife(RuleBasedStateMachine):
    """Whatever is tried in whatever order, only the specification's transitions happen."""

    def __init__(self) -> None:
        super().__init__()
        one = UUID(int=1)
        self.payment = Payment(
            id=one, booking_id=one, user_id=one, tenant_id=one, amount=Decimal("10.00"), currency="THB",
            method="credit_card", status="pending", retry_count=0, details={}, return_asked=False, refund_attempts=0,
        )  # fmt: skip
        self.taken = Decimal(0)

    def _try(self, name: str, function: Callable[[], Any]) -> Any:
        before = self.payment.status
        if name in ALLOWED[before]:
            return function()
        with pytest.raises(IllegalTransition):
            function()
        assert self.payment.status == before
        return None

    @rule()
    def process(self) -> None:
        self._try("process", lambda: self.payment.process("simulated", "tok_visa", NOW))

    @rule()
    def succeed(self) -> None:
        if self._try("succeed", lambda: self.payment.succeed("simulated", "sim_1", NOW)) is not None:
            self.taken += self.payment.amount

    @rule()
    def fail(self) -> None:
        self._try("fail", lambda: self.payment.fail("card_declined", "no", NOW))

    @rule()
    def cancel(self) -> None:
        self._try("cancel", lambda: self.payment.cancel(NOW))

    @rule(part=st.sampled_from([Decimal("10.00"), Decimal("2.50")]))
    def ask_refund(self, part: Decimal) -> None:
        self._try("ask_refund", lambda: self.payment.ask_refund(part, "requested", NOW))

    @rule()
    def refund(self) -> None:
        told = self._try("refund", lambda: self.payment.refund(NOW))
        if told is not None:
            assert told.full == (told.refund_amount == told.amount)
            self.taken -= told.refund_amount

    @invariant()
    def the_card_is_forgotten_when_it_is_settled(self) -> None:
        assert self.payment.status == "processing" or self.payment.card_token is None

    @invariant()
    def money_is_held_only_by_a_succeeded_payment(self) -> None:
        held = self.payment.status in ("succeeded", "refund_pending")
        assert (self.taken == self.payment.amount) == held or self.payment.status == "refunded"


TestPaymentLife = PaymentLife.TestCase
