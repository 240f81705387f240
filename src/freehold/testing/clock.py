"""Clocks that a test moves: one that stands still until then, and one that several processes share."""

from __future__ import annotations

import mmap
import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
VARIABLE = "FREEHOLD_TEST_CLOCK"
_SECONDS = struct.Struct("d")


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


class SharedClock:
    """The machine's time, moved forward for every process that looks at the same file.

    `freehold serve` and `freehold up` use it when the variable `FREEHOLD_TEST_CLOCK` names such a file.

    Args:
        file: keeps by how many seconds; made when it is not there.
    """

    def __init__(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _SECONDS.size:
                os.ftruncate(descriptor, _SECONDS.size)
            self._shared = mmap.mmap(descriptor, _SECONDS.size)
        finally:
            os.close(descriptor)

    @classmethod
    def named(cls) -> SharedClock | None:
        """The clock that the environment names, if it does."""
        file = os.environ.get(VARIABLE)
        return cls(Path(file)) if file else None

    def now(self) -> datetime:
        """The machine's time, and what it was moved by."""
        (ahead,) = _SECONDS.unpack_from(self._shared)
        return datetime.now(UTC) + timedelta(seconds=ahead)

    def advance(self, **parts: float) -> datetime:
        """Move it forward by `timedelta(**parts)`, for everybody; what time it is then."""
        (ahead,) = _SECONDS.unpack_from(self._shared)
        _SECONDS.pack_into(self._shared, 0, ahead + timedelta(**parts).total_seconds())
        return self.now()
