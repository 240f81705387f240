"""Booking's rules: the money split, cancellation tiers, states, local times, what refuses a reservation."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold import Problem
from systems.petpro.booking.contract import BookingStatus
from systems.petpro.booking.rules import (
    Actor,
    Hours,
    Wish,
    approval_deadline,
    back_to_back,
    check_transition,
    check_wish,
    instant,
    local,
    opening,
    reference_code,
    refund_percent,
    refund_wait,
    share,
    split,
)

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
TAX = Decimal("11.00")
amounts = st.decimals(min_value=0, max_value=9_999_999_999, places=2)
rates = st.decimals(min_value=0, max_value=100, places=2)


# --- money ------------------------------------------------------------------------------------------------------------


def test_the_split_of_the_specification() -> None:
    parts = split(Decimal("250000.00"), Decimal("10.00"), TAX)
    assert (parts.tax, parts.platform_fee, parts.clinic_amount) == (
        Decimal("24774.77"), Decimal("22522.52"), Decimal("202702.71"),
    )  # fmt: skip
    back = -split(Decimal("125000.00"), Decimal("10.00"), TAX)
    assert (back.tax, back.platform_fee, back.clinic_amount) == (
        Decimal("-12387.39"), Decimal("-11261.26"), Decimal("-101351.35"),
    )  # fmt: skip


@given(amounts, rates, rates)
def test_the_parts_add_up_and_nobody_pays(amount: Decimal, commission: Decimal, tax: Decimal) -> None:
    parts = split(amount, commission, tax)
    assert parts.tax + parts.platform_fee + parts.clinic_amount == amount
    assert min(parts.tax, parts.platform_fee, parts.clinic_amount) >= 0
    assert all(part == part.quantize(Decimal("0.01")) for part in (parts.tax, parts.platform_fee, parts.clinic_amount))
    assert (-parts).total == -amount
    assert (parts - parts).clinic_amount == 0


@given(amounts, st.sampled_from([0, 50, 100]))
def test_a_share_is_within_the_amount(amount: Decimal, percent: int) -> None:
    assert 0 <= share(amount, percent) <= amount
    assert share(amount, 100) == amount


@pytest.mark.parametrize(
    ("by", "status", "hours", "percent"),
    [
        ("customer", "confirmed", 48, 100), ("customer", "confirmed", 47.99, 50), ("customer", "confirmed", 24, 50),
        ("customer", "confirmed", 23.99, 0), ("customer", "pending_approval", 1, 100), ("clinic", "confirmed", 1, 100),
        ("admin", "confirmed", 1, 100), ("system", "pending_payment", 1, 100),
    ],
)  # fmt: skip
def test_how_much_comes_back(by: Actor, status: BookingStatus, hours: float, percent: int) -> None:
    assert refund_percent(by, status, NOW + timedelta(hours=hours), NOW) == percent


def test_refunds_are_tried_more_and_more_patiently() -> None:
    assert [refund_wait(n, 60, 3600).total_seconds() for n in (1, 2, 6, 7, 1000)] == [60, 120, 1920, 3600, 3600]


# --- states -----------------------------------------------------------------------------------------------------------

WAYS = {
    ("pending_payment", "pending_approval"), ("pending_payment", "confirmed"), ("pending_payment", "cancelled"),
    ("pending_approval", "confirmed"), ("pending_approval", "cancelled"), ("confirmed", "in_progress"),
    ("confirmed", "cancelled"), ("confirmed", "no_show"), ("in_progress", "completed"),
}  # fmt: skip
STATES: tuple[Any, ...] = BookingStatus.__args__  # type: ignore[attr-defined]


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_a_booking_goes_the_ways_that_are_listed(before: BookingStatus, after: BookingStatus) -> None:
    if (before, after) in WAYS:
        check_transition(before, after)
        return
    with pytest.raises(Problem) as refused:
        check_transition(before, after)
    assert (refused.value.status, refused.value.code) == (409, "INVALID_STATUS_TRANSITION")
    assert refused.value.extra["details"] == {"from": before, "to": after}


def test_the_clinic_approves_within_a_day_and_two_hours_before_the_start() -> None:
    window, before = timedelta(hours=24), timedelta(hours=2)
    assert approval_deadline(NOW, NOW + timedelta(days=3), window, before) == NOW + timedelta(hours=24)
    assert approval_deadline(NOW, NOW + timedelta(hours=5), window, before) == NOW + timedelta(hours=3)


@given(st.integers())
def test_codes_have_eight_digits(seed: int) -> None:
    assert re.fullmatch(r"BP\d{8}", reference_code(random.Random(seed)))


# --- time at the clinic -----------------------------------------------------------------------------------------------


def test_local_times_become_moments_and_back() -> None:
    start = instant(date(2030, 1, 7), time(9, 0), "Asia/Jakarta")
    assert start == datetime(2030, 1, 7, 2, 0, tzinfo=UTC)
    assert local(start, "Asia/Jakarta").strftime("%F %H:%M") == "2030-01-07 09:00"
    assert local(datetime(2030, 1, 7, 9, 0), "Asia/Jakarta").hour == 9  # noqa: DTZ001 - a local time says no zone


@pytest.mark.parametrize(
    ("hours", "opened"),
    [
        ({}, Hours(time.min, time.max)),
        ({"monday": {"open": "09:00", "close": "17:00", "is_open": True}}, Hours(time(9), time(17))),
        ({"monday": {"open": "09:00", "close": "17:00"}}, Hours(time(9), time(17))),
        ({"monday": {"open": "09:00", "close": "17:00", "is_open": False}}, None),
        ({"tuesday": {"open": "09:00", "close": "17:00"}}, None),
    ],
)
def test_when_a_clinic_is_open(hours: dict[str, Any], opened: Hours | None) -> None:
    assert opening(hours, date(2030, 1, 7)) == opened


@given(st.integers(1, 95), st.times(), st.times())
def test_stretches_lie_back_to_back_in_the_window(steps: int, one: time, other: time) -> None:
    window, minutes = Hours(min(one, other), max(one, other)), 5 * steps
    made = list(back_to_back(window, minutes))
    assert all(window.contains(each) for each in made)
    assert all(before.end == after.start for before, after in itertools.pairwise(made))
    assert not any(before.overlaps(after) for before, after in itertools.pairwise(made))


# --- may this be reserved? --------------------------------------------------------------------------------------------

GOOD = Wish(
    starts_at=NOW + timedelta(hours=1), slot_date=date(2030, 1, 1), slot_status="available", clinic_status="approved",
    is_available=True, offering_active=True, exceptions=["2030-01-02"], live_of_pet=2,
)  # fmt: skip


def test_a_good_wish_passes() -> None:
    check_wish(GOOD, NOW, timedelta(minutes=60), 3)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"clinic_status": "suspended"}, "CLINIC_NOT_APPROVED"),
        ({"is_available": False}, "SERVICE_NOT_AVAILABLE"),
        ({"offering_active": False}, "SERVICE_NOT_AVAILABLE"),
        ({"slot_status": "blocked"}, "SLOT_BLOCKED"),
        ({"exceptions": ["2030-01-01"]}, "DATE_EXCEPTED"),
        ({"starts_at": NOW + timedelta(minutes=59)}, "LEAD_TIME"),
        ({"live_of_pet": 3}, "PET_LIMIT"),
    ],
)
def test_what_refuses_a_wish(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Problem) as refused:
        check_wish(replace(GOOD, **changes), NOW, timedelta(minutes=60), 3)
    assert (refused.value.status, refused.value.code) == (422, code)
