"""What clinic insists on, and how ratings and distances are computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from math import asin, cos, degrees, radians, sin
from typing import NamedTuple

from freehold import Coordinates, Problem, metres_between
from systems.petpro.clinic.contract import ClinicStatus

STARS = ("1", "2", "3", "4", "5")
TRANSITIONS: dict[ClinicStatus, tuple[ClinicStatus, ...]] = {
    "pending": ("approved", "rejected"),
    "approved": ("suspended",),
    "suspended": ("approved",),
    "rejected": ("pending",),
}


def require_transition(old: ClinicStatus, new: ClinicStatus) -> None:
    """409 unless a clinic may go from the one status to the other."""
    if new not in TRANSITIONS[old]:
        raise Problem(
            409, "INVALID_STATUS_TRANSITION", f"A clinic that is {old} cannot become {new}",
            details={"from": old, "to": new},
        )  # fmt: skip


def distribution_of(counts: Iterable[tuple[int, int]]) -> dict[str, int]:
    """How many reviews gave each number of stars, from (stars, reviews)."""
    return dict.fromkeys(STARS, 0) | {str(stars): reviews for stars, reviews in counts}


def mean_rating(distribution: Mapping[str, int]) -> Decimal:
    """The mean of the stars, rounded half up to one decimal; 0.0 without reviews."""
    reviews = sum(distribution.values())
    if reviews == 0:
        return Decimal("0.0")
    stars = sum(int(star) * number for star, number in distribution.items())
    return (Decimal(stars) / reviews).quantize(Decimal("0.1"), ROUND_HALF_UP)


class Box(NamedTuple):
    """A part of the map in degrees; `west` is above `east` where it lies across the antimeridian."""

    south: float
    north: float
    west: float
    east: float


def box_around(centre: Coordinates, metres: float) -> Box:
    """A box in which everything lies that is so near to the centre."""
    reach = degrees(metres / _metres_of_a_radian())
    south, north = max(-90.0, centre.latitude - reach), min(90.0, centre.latitude + reach)
    if south <= -90 or north >= 90:
        return Box(south, north, -180, 180)  # a pole is within: every longitude is near to it
    # The circle is widest towards the pole, not at its centre.
    aside = degrees(asin(min(1.0, sin(radians(reach)) / cos(radians(centre.latitude)))))
    return Box(south, north, _around(centre.longitude - aside), _around(centre.longitude + aside))


def _metres_of_a_radian() -> float:
    quarter = metres_between(Coordinates(0, 0), Coordinates(0, 90))
    return quarter / radians(90) * (1 - 1e-9)  # a hair less, so that rounding loses nothing


def _around(longitude: float) -> float:
    return (longitude + 180) % 360 - 180
