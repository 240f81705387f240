"""Cells around a circle: what is near is in one of their ranges."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from freehold.model.points import EARTH, Coordinates, PointColumn, metres_between, ranges_around, within

PLACES = st.builds(
    Coordinates,
    st.floats(-180, 180) | st.sampled_from([-180.0, 180.0, 0.0]),
    st.floats(-90, 90) | st.sampled_from([-90.0, 90.0, 0.0]),
)
DISTANCES = st.floats(0, 21_000_000) | st.sampled_from([0.0, 1.0, 5_000.0])


def stored(place: Coordinates) -> str:
    return str(PointColumn().process_bind_param(place, sqlite.dialect()))


@settings(deadline=None)
@given(PLACES, PLACES, DISTANCES)
@example(Coordinates(180, 0), Coordinates(-180, 0), 0.0)
@example(Coordinates(0, 90), Coordinates(77, 90), 0.0)
@example(Coordinates(-179.9, 60), Coordinates(179.9, 60), 30_000.0)
def test_what_is_near_is_in_a_range(centre: Coordinates, place: Coordinates, metres: float) -> None:
    ranges = ranges_around(centre, metres)
    assert len(ranges) <= 8
    if metres_between(centre, place) <= metres:
        assert any(low <= stored(place) < high for low, high in ranges)


@settings(deadline=None)
@given(PLACES, st.floats(0, 1_000_000), st.floats(0, 360))
def test_what_lies_on_the_rim_is_in_a_range(centre: Coordinates, metres: float, bearing: float) -> None:
    from math import asin, atan2, cos, degrees, radians, sin

    angle, latitude, heading = metres / EARTH, radians(centre.latitude), radians(bearing)
    north = asin(max(-1, min(1, sin(latitude) * cos(angle) + cos(latitude) * sin(angle) * cos(heading))))
    east = atan2(sin(heading) * sin(angle) * cos(latitude), cos(angle) - sin(latitude) * sin(north))
    longitude = (centre.longitude + degrees(east) + 540) % 360 - 180
    place = Coordinates(max(-180, min(180, longitude)), max(-90, min(90, degrees(north))))
    assert any(low <= stored(place) < high for low, high in ranges_around(centre, metres))


@settings(deadline=None)
@given(PLACES)
def test_a_point_comes_back_as_it_went_in(place: Coordinates) -> None:
    assert PointColumn().process_result_value(stored(place), sqlite.dialect()) == pytest.approx(place, abs=1e-99, rel=0)


def test_small_circles_have_small_ranges() -> None:
    [(low, high), *others] = ranges_around(Coordinates(106.66, 10.76), 500)
    assert len(others) <= 3
    assert (int(high, 16) - int(low, 16)) / 16**13 < 1e-6, "of the world"


@pytest.mark.parametrize(("centre", "metres"), [((106.6, 10.7), -1), ((106.6, 10.7), float("nan")), ((10.7, 106.6), 5)])
def test_what_is_no_circle_is_refused(centre: tuple[float, float], metres: float) -> None:
    with pytest.raises(ValueError, match=r"no distance|not on Earth"):
        within(None, centre, metres)
