"""Clinic's rules: transitions, ratings, boxes on the map, operating hours."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from freehold import Coordinates, Problem, metres_between
from systems.petpro.clinic.bodies import Hours, NewClinic, StatusChange, columns_of
from systems.petpro.clinic.contract import ClinicStatus
from systems.petpro.clinic.rules import TRANSITIONS, box_around, distribution_of, mean_rating, require_transition
from systems.petpro.clinic.tables import Offering


def test_a_clinic_goes_only_the_listed_ways() -> None:
    allowed = {(old, new) for old, news in TRANSITIONS.items() for new in news}
    assert allowed == {
        ("pending", "approved"), ("pending", "rejected"), ("approved", "suspended"), ("suspended", "approved"),
        ("rejected", "pending"),
    }  # fmt: skip
    statuses: tuple[ClinicStatus, ...] = ("pending", "approved", "rejected", "suspended")
    for old in statuses:
        for new in statuses:
            if (old, new) in allowed:
                require_transition(old, new)
                continue
            with pytest.raises(Problem) as refused:
                require_transition(old, new)
            assert (refused.value.status, refused.value.code) == (409, "INVALID_STATUS_TRANSITION")
            assert refused.value.extra["details"] == {"from": old, "to": new}


@pytest.mark.parametrize(
    ("counts", "mean"),
    [
        ((), "0.0"),
        (((5, 1), (4, 2)), "4.3"),
        (((4, 3), (5, 1)), "4.3"),  # 4.25
        (((1, 19), (2, 1)), "1.1"),  # 1.05, where floats say 1.0
        (((3, 1), (4, 1)), "3.5"),
    ],
)
def test_ratings_are_rounded_half_up_to_one_decimal(counts: tuple[tuple[int, int], ...], mean: str) -> None:
    assert mean_rating(distribution_of(counts)) == Decimal(mean)


def test_a_distribution_names_every_number_of_stars() -> None:
    assert distribution_of([(5, 1), (4, 2)]) == {"1": 0, "2": 0, "3": 0, "4": 2, "5": 1}


def test_nothing_near_lies_outside_the_box() -> None:
    random = Random(7)
    for _ in range(3000):
        centre = Coordinates(random.uniform(-180, 180), random.choice((0, -89.9, 89.9, random.uniform(-90, 90))))
        place = Coordinates(
            (centre.longitude + random.uniform(-3, 3) + 180) % 360 - 180,
            max(-90.0, min(90.0, centre.latitude + random.uniform(-1, 1))),
        )
        box = box_around(centre, metres_between(centre, place))
        assert box.south <= place.latitude <= box.north
        if box.west <= box.east:
            assert box.west <= place.longitude <= box.east, (centre, place, box)
        else:
            assert place.longitude >= box.west or place.longitude <= box.east, (centre, place, box)


def test_the_box_is_no_larger_than_it_must_be() -> None:
    box = box_around(Coordinates(106.8, -6.2), 10_000)
    assert box.north - box.south == pytest.approx(0.18, abs=0.001)
    assert box.east - box.west == pytest.approx(0.181, abs=0.001)
    across = box_around(Coordinates(179.99, 0), 10_000)
    assert across.west > across.east


CLINIC: dict[str, Any] = {
    "name": "Paw", "address": "Jl. Melati 1", "city": "Jakarta", "province": "DKI Jakarta", "postalCode": "10110",
    "phoneNumber": "+62 21 555", "email": " Hello@Paw.ID ", "operatingHours": {"monday": {"open": "09:00", "close": "17:00"}},
}  # fmt: skip


def test_a_week_is_kept_by_the_days_that_are_named() -> None:
    body = NewClinic.model_validate(CLINIC)
    kept = columns_of(body)["operating_hours"]
    assert kept == {"monday": {"open": "09:00", "close": "17:00", "is_open": True}}
    assert body.email == "hello@paw.id"
    closed = Hours.model_validate({"sunday": {"isOpen": False}})
    assert closed.model_dump(exclude_none=True) == {"sunday": {"is_open": False}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"operatingHours": {"monday": {"open": "17:00", "close": "09:00"}}},
        {"operatingHours": {"monday": {"open": "09:00", "close": "09:00"}}},
        {"operatingHours": {"monday": {"open": "9:00", "close": "17:00"}}},
        {"operatingHours": {"monday": {"open": "09:00", "close": "24:00"}}},
        {"operatingHours": {"monday": {"is_open": True}}},
        {"operatingHours": {"mondy": {"open": "09:00", "close": "17:00"}}},
        {"timezone": "Asia/Atlantis"},
        {"timezone": "../etc/passwd"},
        {"email": "nobody"},
        {"latitude": 91, "longitude": 0},
        {"latitude": -6.2},
        {"latitude": "nan", "longitude": 0},
        {"website": "javascript:alert(1)"},
        {"name": "  "},
    ],
)
def test_what_no_clinic_can_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewClinic.model_validate(CLINIC | wrong)


def test_a_commission_is_a_percentage() -> None:
    for rate in (-1, 100.01, "12.345"):
        with pytest.raises(ValidationError):
            StatusChange.model_validate({"status": "approved", "commissionRate": rate})
    assert StatusChange.model_validate({"status": "approved", "commissionRate": 12.5}).commission_rate == Decimal(
        "12.5"
    )


def test_an_older_definition_replaces_no_newer_one() -> None:
    offering = Offering(definition={})
    assert offering.price is None
    assert offering.define({"version": 2, "price": "100.00"})
    assert not offering.define({"version": 1, "price": "50.00"})
    assert offering.price == Decimal("100.00")
