"""A clock that stands still until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class ManualClock:
    """Time for tests.

    Args:
        start: where it stands at first, aware.
    """

    def __init__(self, start: datetime = START) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Where it stands."""
        return self._now

    def advance(self, **parts: float) -> datetime:
        """Move it forward by `timedelta(**parts)`; where it stands then."""
        self._now += timedelta(**parts)
        return self._now
