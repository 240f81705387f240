"""What pet insists on: names of the catalogue, ages, and when a vaccination should be renewed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal, Protocol, TypeVar

Gender = Literal["male", "female", "unknown"]
RecordType = Literal["checkup", "vaccination", "surgery", "emergency", "lab", "grooming", "other"]
MIXED = "mixed"
"""A breed that every species has, without a row."""
EXPIRES_SOON = timedelta(days=30)


class Named(Protocol):
    """A row of the catalogue."""

    name: str


N = TypeVar("N", bound=Named)


def same_name(one: str | None, other: str | None) -> bool:
    """Whether both mean the same entry of the catalogue."""
    return (one or "").strip().casefold() == (other or "").strip().casefold()


def named(name: str, rows: Iterable[N]) -> N | None:
    """The row that is meant, whatever the case of its letters."""
    return next((row for row in rows if same_name(row.name, name)), None)


def full_years(birthdate: date, today: date) -> int:
    """How old somebody is; born on February 29th, one gets older on March 1st of other years."""
    return today.year - birthdate.year - ((today.month, today.day) < (birthdate.month, birthdate.day))


def expires_soon(expiry_date: date | None, today: date) -> bool:
    """Whether a vaccination still protects, but for 30 days at most."""
    return expiry_date is not None and today <= expiry_date <= today + EXPIRES_SOON
