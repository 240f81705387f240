"""The rules of the catalogue and of its seats."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import product
from typing import get_args
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold import Problem, User
from systems.booking_rush.ticket.contract import EventStatus, ShowStatus
from systems.booking_rush.ticket.rules import (
    Move,
    apply,
    free_slug,
    is_event_over,
    is_over,
    is_selling,
    may_edit,
    require_cancellable,
    require_event_transition,
    require_show_transition,
    resize,
    sale_status,
    sellout,
    slug_of,
    time_of_day,
)
from systems.booking_rush.ticket.tables import Event, Show, Zone

BANGKOK = timezone(timedelta(hours=7))
SHOW_STATUSES: tuple[ShowStatus, ...] = get_args(ShowStatus)
EVENT_STATUSES: tuple[EventStatus, ...] = get_args(EventStatus)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Rush Hour!", "rush-hour"), ("  A & B  ", "a-b"), ("2030", "2030"), ("เพลง", "event"), ("x" * 300, "x" * 240)],
)
def test_slugs(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_a_taken_slug_gets_the_first_free_number() -> None:
    assert free_slug("rush", ()) == "rush"
    assert free_slug("rush", {"rush", "rush-2", "rush-4"}) == "rush-3"


def test_times_of_day() -> None:
    assert time_of_day("19:30+07:00") == time(19, 30, tzinfo=BANGKOK)
    assert time_of_day("2030-03-01T19:30:00Z") == time(19, 30, tzinfo=UTC)
    for bad in ("19:30", "2030-03-01T19:30:00", "25:00Z", "soon"):
        with pytest.raises(ValueError, match=r"."):
            time_of_day(bad)


def test_the_owners_transitions_of_a_show_are_these_and_no_others() -> None:
    allowed = {
        ("scheduled", "on_sale"), ("scheduled", "cancelled"), ("on_sale", "scheduled"), ("on_sale", "cancelled"),
        ("sold_out", "scheduled"), ("sold_out", "cancelled"),
    }  # fmt: skip
    event = Event(status="published")
    for now, wanted in product(SHOW_STATUSES, SHOW_STATUSES):
        if (now, wanted) in allowed:
            require_show_transition(event, Show(status=now), wanted)
        else:
            with pytest.raises(Problem) as told:
                require_show_transition(event, Show(status=now), wanted)
            assert (told.value.status, told.value.code) == (409, "INVALID_STATUS_TRANSITION")
    with pytest.raises(Problem):
        require_show_transition(Event(status="draft"), Show(status="scheduled"), "on_sale")


def test_an_event_by_update_only_goes_back_to_draft_while_nothing_is_booked() -> None:
    for now, wanted in product(EVENT_STATUSES, EVENT_STATUSES):
        if (now, wanted) == ("published", "draft"):
            require_event_transition(Event(status=now), wanted, 0)
            with pytest.raises(Problem):
                require_event_transition(Event(status=now), wanted, 1)
        else:
            with pytest.raises(Problem):
                require_event_transition(Event(status=now), wanted, 0)


def test_what_is_over_is_not_cancelled() -> None:
    for status in EVENT_STATUSES:
        if status in ("draft", "published"):
            require_cancellable(Event(status=status))
        else:
            with pytest.raises(Problem):
                require_cancellable(Event(status=status))


@pytest.mark.parametrize(
    ("shows", "status"),
    [
        ([], "scheduled"),
        (["scheduled", "sold_out"], "scheduled"),
        (["scheduled", "on_sale", "sold_out"], "on_sale"),
        (["sold_out", "sold_out"], "sold_out"),
        (["sold_out", "completed"], "completed"),
        (["cancelled", "cancelled"], "cancelled"),
        (["cancelled", "completed"], "completed"),
    ],
)
def test_the_sale_status_of_an_event(shows: list[ShowStatus], status: str) -> None:
    assert sale_status(shows) == status


def test_a_sold_out_show_still_sells_and_a_paused_or_unpublished_one_does_not() -> None:
    for event_status, show_status in product(EVENT_STATUSES, SHOW_STATUSES):
        selling = is_selling(Event(status=event_status), Show(status=show_status))
        assert selling == (event_status == "published" and show_status in ("on_sale", "sold_out"))


def test_a_show_is_over_when_its_day_is_over_where_it_takes_place() -> None:
    show = Show(show_date=date(2030, 1, 3), start_time=time(19, 30, tzinfo=BANGKOK))
    assert not is_over(show, datetime(2030, 1, 3, 16, 59, tzinfo=UTC))
    assert is_over(show, datetime(2030, 1, 3, 17, 0, tzinfo=UTC))


def test_an_event_is_over_when_all_of_its_shows_are_and_one_took_place() -> None:
    assert is_event_over([Show(status="completed"), Show(status="cancelled")])
    assert not is_event_over([Show(status="completed"), Show(status="sold_out")])
    assert not is_event_over([Show(status="cancelled")])
    assert not is_event_over([])


def test_who_may_edit() -> None:
    home, abroad, olga = uuid4(), uuid4(), uuid4()
    event = Event(tenant_id=home, organizer_id=olga)

    def someone(role: str, tenant: object = home, id: object = None) -> User:
        return User(id or uuid4(), roles=frozenset({role}), tenant_id=tenant)  # type: ignore[arg-type]

    for allowed in (someone("organizer", id=olga), someone("admin"), someone("super_admin", abroad)):
        assert may_edit(event, allowed)
    for refused in (None, someone("organizer"), someone("admin", abroad), someone("organizer", abroad, olga)):
        assert not may_edit(event, refused)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5))))
def test_seats_always_add_up(moves: list[tuple[int, int]]) -> None:
    zone = Zone(total_seats=50, available_seats=50, reserved_seats=0, sold_seats=0)
    show = Show(total_capacity=50, reserved_count=0, sold_count=0)
    for reserved, sold in moves:
        apply(Move(available=-reserved - sold, reserved=reserved, sold=sold), zone, show)
    assert zone.available_seats + zone.reserved_seats + zone.sold_seats == zone.total_seats
    assert (show.reserved_count, show.sold_count) == (zone.reserved_seats, zone.sold_seats)


def test_a_zone_never_gets_smaller_than_what_is_committed() -> None:
    zone = Zone(total_seats=10, available_seats=4, reserved_seats=3, sold_seats=3)
    show = Show(total_capacity=10)
    with pytest.raises(Problem) as told:
        resize(zone, show, 5)
    assert told.value.code == "BELOW_COMMITTED"
    assert (resize(zone, show, 6), zone.available_seats, show.total_capacity) == (-4, 0, 6)
    assert (resize(zone, show, 20), zone.available_seats, show.total_capacity) == (14, 14, 20)


def test_selling_out_is_automatic_and_only_while_selling() -> None:
    assert sellout(Show(status="on_sale"), 0) == "sold_out"
    assert sellout(Show(status="sold_out"), 1) == "on_sale"
    for status in ("scheduled", "cancelled", "completed"):
        assert sellout(Show(status=status), 0) == status
