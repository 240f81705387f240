"""Booking's rules without a database."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold import Problem, User
from systems.booking_rush.booking.rules import (
    CODE_ALPHABET,
    ZoneNotCounted,
    check_quantity,
    check_sale,
    check_zone,
    confirmation_code,
    decide,
    price_of,
    ticket_cap,
)
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.sold_out import SoldOutMemory
from tests.unit.booking_rush.zones import EVENT, NOW, SHOW, TENANT, ZONE, request, zone

HOUR = timedelta(minutes=60)
ANN, BEN, CAT = (UUID(int=number) for number in (10, 11, 12))
FAR, NEAR = NOW + timedelta(days=1), NOW - timedelta(days=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant_active": False},
        {"event_status": "draft"},
        {"event_status": "cancelled"},
        {"show_status": "scheduled"},
        {"show_status": "completed"},
        {"zone_active": False},
        {"booking_start_at": FAR},
        {"booking_end_at": NEAR},
        {"show_sale_start_at": FAR},
        {"show_sale_end_at": NEAR},
        {"zone_sale_start_at": FAR},
        {"zone_sale_end_at": NEAR},
        {"show_date": date(2030, 1, 1), "show_time": time.fromisoformat("20:00:00+07:00")},
    ],
)
def test_a_sale_that_is_not_open_says_why(changed: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        check_sale(zone(**changed), NOW, HOUR)
    assert (refused.value.status, refused.value.code) == (409, "SALE_NOT_OPEN")
    assert refused.value.detail


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"show_status": "sold_out"},
        {"booking_start_at": NOW, "booking_end_at": NOW},
        {"show_date": date(2030, 1, 1), "show_time": time.fromisoformat("20:00:01+07:00")},
    ],
)
def test_an_open_sale(changed: dict[str, Any]) -> None:
    check_sale(zone(**changed), NOW, HOUR)


def test_a_zone_is_sold_with_its_own_show_and_event_and_to_its_own_tenant() -> None:
    ann = User(ANN, tenant_id=TENANT)
    check_zone(zone(), SHOW, EVENT, ann)
    for show, event, user, code in (
        (ZONE, EVENT, ann, "INVALID_SHOW_ID"),
        (SHOW, ZONE, ann, "INVALID_EVENT_ID"),
        (SHOW, EVENT, User(ANN, tenant_id=ZONE), "TENANT_MISMATCH"),
        (SHOW, EVENT, User(ANN), "TENANT_MISMATCH"),
    ):
        with pytest.raises(Problem, match=code):
            check_zone(zone(), show, event, user)


def test_quantities_of_a_zone() -> None:
    for fitting in (2, 4):
        check_quantity(zone(min_per_order=2, max_per_order=4), fitting)
    for other in (1, 5):
        with pytest.raises(Problem, match="INVALID_QUANTITY"):
            check_quantity(zone(min_per_order=2, max_per_order=4), other)


@pytest.mark.parametrize(("of_event", "cap"), [(4, 4), (0, 10), (10, 10), (25, 10)])
def test_ticket_cap(of_event: int, cap: int) -> None:
    assert ticket_cap(of_event, 10) == cap


@given(st.decimals(0, 9_999_999, places=2), st.integers(1, 10))
def test_a_price_is_exact(unit_price: Decimal, quantity: int) -> None:
    total = price_of(unit_price, quantity)
    assert total == (unit_price * quantity).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert total / quantity == unit_price


def test_confirmation_codes_are_readable_and_differ() -> None:
    codes = {confirmation_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(code.startswith("BK-") and set(code[3:]) <= set(CODE_ALPHABET) for code in codes)


# --- who gets the seats -----------------------------------------------------------------------------------------------


def codes(answers: list[Problem | ZoneNotCounted | None]) -> list[str | None]:
    return [
        answer.code if isinstance(answer, Problem) else type(answer).__name__ if answer else None for answer in answers
    ]


def test_first_come_first_served_and_a_smaller_wish_may_still_fit() -> None:
    wishes = [request(ANN, 3), request(BEN, 2), request(CAT, 1), request(BEN, 1)]
    assert codes(decide(wishes, left={ZONE: 4}, held={})) == [None, "INSUFFICIENT_SEATS", None, "INSUFFICIENT_SEATS"]


def test_the_cap_counts_what_one_has_and_what_was_just_granted() -> None:
    wishes = [request(ANN, 2, cap=4), request(ANN, 1, cap=4), request(ANN, 1, cap=4), request(BEN, 4, cap=4)]
    answers = codes(decide(wishes, left={ZONE: 100}, held={ANN: 1}))
    assert answers == [None, None, "MAX_TICKETS_EXCEEDED", None]


def test_unknown_and_closed_zones() -> None:
    assert codes(decide([request(ANN, 1)], left={}, held={})) == ["ZoneNotCounted"]
    assert codes(decide([request(ANN, 1)], left={ZONE: 9}, held={}, closed={ZONE})) == ["SALE_NOT_OPEN"]


@given(
    st.lists(st.tuples(st.sampled_from([ANN, BEN, CAT]), st.integers(1, 4), st.booleans()), max_size=60),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 8),
)
def test_nobody_gets_more_than_there_is_or_than_the_cap(
    wishes: list[tuple[UUID, int, bool]], first: int, second: int, cap: int
) -> None:
    zones = {True: zone(), False: zone(zone_id=SHOW)}
    requests = [request(user, quantity, cap=cap, of=zones[where]) for user, quantity, where in wishes]
    left = {ZONE: first, SHOW: second}
    answers = decide(requests, left=left, held={})
    granted = [one for one, answer in zip(requests, answers, strict=True) if answer is None]
    for zone_id, seats in left.items():
        assert sum(one.quantity for one in granted if one.zone_id == zone_id) <= seats
    for user in (ANN, BEN, CAT):
        assert sum(one.quantity for one in granted if one.user_id == user) <= cap
    # Nobody is refused who could have had it.
    for at, (one, answer) in enumerate(zip(requests, answers, strict=True)):
        before = [other for other, given_ in zip(requests[:at], answers[:at], strict=True) if given_ is None]
        free = left[one.zone_id] - sum(other.quantity for other in before if other.zone_id == one.zone_id)
        mine = sum(other.quantity for other in before if other.user_id == one.user_id)
        assert (answer is None) == (one.quantity <= free and mine + one.quantity <= cap)


# --- the memory of sold-out zones -------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> SoldOutMemory:
    return SoldOutMemory(BookingSettings())


def test_it_refuses_what_the_row_refused_a_moment_ago(memory: SoldOutMemory) -> None:
    assert not memory.refuses(ZONE, ANN, 1, NOW)
    memory.saw(ZONE, 5, 1, NOW, {BEN})
    assert memory.refuses(ZONE, ANN, 2, NOW)
    assert not memory.refuses(ZONE, ANN, 1, NOW)
    assert not memory.refuses(ZONE, ANN, 2, NOW + timedelta(seconds=1.1))


def test_it_refuses_nobody_whose_request_may_be_a_repeated_one(memory: SoldOutMemory) -> None:
    memory.saw(ZONE, 5, 0, NOW, {BEN})
    assert not memory.refuses(ZONE, BEN, 1, NOW)


def test_seats_that_came_back_count_whatever_the_order_in_which_it_hears_of_them(memory: SoldOutMemory) -> None:
    memory.saw(ZONE, 5, 0, NOW, ())
    memory.changed(ZONE, 6, 2)
    assert not memory.refuses(ZONE, ANN, 2, NOW)
    assert memory.refuses(ZONE, ANN, 3, NOW)
    memory.saw(ZONE, 5, 0, NOW, ())
    assert not memory.refuses(ZONE, ANN, 2, NOW)


def test_after_a_gap_it_does_not_know_the_buyers_and_refuses_nobody(memory: SoldOutMemory) -> None:
    memory.saw(ZONE, 5, 0, NOW, ())
    memory.changed(ZONE, 8, 0)
    assert not memory.refuses(ZONE, ANN, 1, NOW)
    assert memory.buyers(ZONE, 8) is None
    memory.saw(ZONE, 9, 0, NOW, {BEN})
    assert memory.refuses(ZONE, ANN, 1, NOW)
    assert memory.buyers(ZONE, 9) == {BEN}
