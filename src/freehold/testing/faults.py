"""Crashes at named points, without killing the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from freehold.runtime import faultpoints


class Crash(BaseException):
    """Stands for the death of the process at a fault point: nothing in the toolkit catches it."""


@contextmanager
def crash_at(point: str, *, nth: int = 1) -> Iterator[list[str]]:
    """Raise Crash when `point` is reached for the nth time; yields the list of points reached so far.

    For what a real process does when it dies, start one with the variable FREEHOLD_CRASH_AT instead.
    """
    if point not in faultpoints.POINTS:
        raise ValueError(f"{point!r} is no fault point; there are: {', '.join(faultpoints.POINTS)}")
    reached: list[str] = []

    def on_reach(name: str) -> None:
        reached.append(name)
        if name == point and reached.count(point) == nth:
            raise Crash(point)

    before = faultpoints.on_reach
    faultpoints.on_reach = on_reach
    try:
        yield reached
    finally:
        faultpoints.on_reach = before
