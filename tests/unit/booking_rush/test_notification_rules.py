"""Notification's rules, words and state machine, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold import Problem
from systems.booking_rush.notification.notices import NOTICES, Notice
from systems.booking_rush.notification.rules import (
    MAX_PERIODS,
    Period,
    Span,
    change_percent,
    chosen_span,
    periods,
    wait_before_retry,
)
from systems.booking_rush.notification.sender import Message
from systems.booking_rush.notification.tables import Notification
from systems.booking_rush.notification.wording import DEFAULTS, KINDS, Wording
from tests.unit.booking_rush.sales import Sale
from tests.unit.booking_rush.zones import NOW

TODAY = date(2030, 1, 1)
days = st.dates(date(2000, 1, 1), date(2100, 12, 31))


# --- periods ----------------------------------------------------------------------------------------------------------


@given(days, st.integers(0, MAX_PERIODS - 1), st.sampled_from(["day", "week", "month"]))
def test_periods_cover_the_span_and_begin_where_they_should(first: date, length: int, by: Period) -> None:
    span = Span(first, first + timedelta(days=length))
    pieces = periods(span, by)
    assert (pieces[0].since, pieces[-1].until) == (span.since, span.until)
    assert all(one.until == following.since for one, following in pairwise(pieces))
    for piece in pieces[1:]:
        assert {"day": True, "week": piece.first.weekday() == 0, "month": piece.first.day == 1}[by]
    if by == "day":
        assert len(pieces) == length + 1


def test_too_many_periods_are_refused() -> None:
    span = Span(date(2000, 1, 1), date(2000, 1, 1) + timedelta(days=MAX_PERIODS))
    with pytest.raises(Problem) as refused:
        periods(span, "day")
    assert (refused.value.status, refused.value.code) == (400, "VALIDATION_ERROR")
    assert len(periods(span, "week")) == 58


@pytest.mark.parametrize(
    ("first", "last", "span"),
    [
        (None, None, Span(date(2029, 12, 3), TODAY)),
        (date(2029, 6, 1), None, Span(date(2029, 6, 1), TODAY)),
        (date(2031, 6, 1), None, Span(date(2031, 6, 1), date(2031, 6, 1))),
        (None, date(2029, 6, 30), Span(date(2029, 6, 1), date(2029, 6, 30))),
        (TODAY, TODAY, Span(TODAY, TODAY)),
    ],
)
def test_thirty_days_up_to_today_unless_told_otherwise(first: date | None, last: date | None, span: Span) -> None:
    assert chosen_span(first, last, TODAY) == span


def test_a_span_does_not_end_before_it_begins() -> None:
    with pytest.raises(Problem) as refused:
        chosen_span(TODAY, TODAY - timedelta(days=1), TODAY)
    assert refused.value.code == "VALIDATION_ERROR"


def test_days_are_those_of_utc() -> None:
    span = Span(TODAY, TODAY)
    assert (span.since, span.until) == (datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("now", "before", "percent"),
    [
        (Decimal(150), Decimal(100), "50.00"),
        (Decimal(0), Decimal(100), "-100.00"),
        (2, 3, "-33.33"),
        (5, 3, "66.67"),
        (100_005, 100_000, "0.01"),
        (5, 0, None),
        (Decimal(0), Decimal(0), None),
    ],
)
def test_change_percent(now: Decimal | int, before: Decimal | int, percent: str | None) -> None:
    assert change_percent(now, before) == (None if percent is None else Decimal(percent))


# --- sending ----------------------------------------------------------------------------------------------------------


def test_waits_double_up_to_a_limit() -> None:
    assert [wait_before_retry(tried, 15, 100).total_seconds() for tried in (1, 2, 3, 4, 99)] == [15, 30, 60, 100, 100]


def waiting() -> Notification:
    return Notification(id=uuid4(), status="pending", attempts=0, created_at=NOW, updated_at=NOW, next_attempt_at=NOW)


def test_a_notification_is_sent_after_misses() -> None:
    it, later = waiting(), NOW + timedelta(seconds=15)
    it.missed("refused", timedelta(seconds=15), NOW)
    assert (it.status, it.attempts, it.last_error, it.next_attempt_at) == ("retrying", 1, "refused", later)
    assert it.is_waiting
    it.sent("ann@example.com", later)
    assert (it.status, it.attempts, it.last_error, it.next_attempt_at) == ("sent", 2, None, None)
    assert (it.recipient, it.sent_at, it.is_waiting) == ("ann@example.com", later, False)


def test_a_notification_fails_when_there_is_no_wait_left_or_no_use() -> None:
    missed, given_up = waiting(), waiting()
    missed.missed("refused", None, NOW)
    given_up.give_up("the user is deleted", NOW)
    assert (missed.status, missed.attempts, missed.next_attempt_at, missed.is_waiting) == ("failed", 1, None, False)
    assert (given_up.status, given_up.attempts, given_up.next_attempt_at) == ("failed", 0, None)


def test_the_text_form_of_a_message_shows_nothing_personal() -> None:
    message = Message(uuid4(), "e_ticket", "email", "KEY", "ann@example.com", "SUBJECT", "BODY")
    assert repr(message) == f"Message(id={message.id!r}, type='e_ticket', channel='email')"


# --- what is told -----------------------------------------------------------------------------------------------------


def told(*events: object) -> list[Notice]:
    return [notice for event in events for notice in NOTICES[type(event)](event)]  # type: ignore[index]


def test_who_is_told_what() -> None:
    sale = Sale()
    booking, payment = sale.booking_id, sale.payment_id
    notices = told(sale.confirmed(), sale.paid(), sale.expired(), sale.cancelled(), sale.refunded("10.00"))
    assert [(notice.type, notice.key) for notice in notices] == [
        ("booking_confirmation", f"booking_confirmation:{booking}"),
        ("e_ticket", f"e_ticket:{booking}"),
        ("payment_receipt", f"payment_receipt:{payment}"),
        ("booking_expired", f"booking_expired:{booking}"),
        ("booking_cancelled", f"booking_cancelled:{booking}"),
        ("payment_receipt", f"refund_receipt:{payment}"),
    ]
    assert {(notice.user_id, notice.booking_id) for notice in notices} == {(sale.paid().user_id, booking)}


def test_a_decline_is_told_once_with_its_reason() -> None:
    sale = Sale()
    (notice,) = told(sale.declined(), sale.cancelled("payment_failed", "reserved"))
    assert (notice.type, notice.key) == ("booking_cancelled", f"payment_failed:{sale.payment_id}")
    assert "Insufficient funds" in DEFAULTS[notice.kind].fill(notice.values)[1]
    assert told(sale.declined("cancelled"), sale.declined("refunded")) == [], "told to sagas only"


def test_every_kind_has_words_and_every_name_in_them_a_value() -> None:
    sale = Sale(venue_name=None)
    notices = told(
        sale.confirmed(), sale.paid(), sale.expired(), sale.cancelled(), sale.declined(), sale.refunded("1500.00")
    )
    assert {notice.kind for notice in notices} == set(KINDS) == set(DEFAULTS)
    texts = {notice.kind: DEFAULTS[notice.kind].fill(notice.values) for notice in notices}
    assert not [text for pair in texts.values() for text in pair if "$" in text]
    assert texts["booking_confirmation"] == (
        "Your booking for Rush is confirmed",
        "Your booking BK-ABCDEF is confirmed: 2 x Gold for Rush on 2030-03-01 at 19:30, -. Total: 6000.00 THB.",
    )
    assert texts["refund_receipt"][0] == "Your refund of 1500.00 THB"
    assert "by credit card" in texts["payment_receipt"][1]


def test_a_slip_in_a_template_and_a_long_name_lose_no_notification() -> None:
    subject, body = Wording("$event_name", "Hello $nobody, 100 $ off").fill({"event_name": "x" * 300})
    assert (subject, body) == ("x" * 255, "Hello $nobody, 100 $ off")
