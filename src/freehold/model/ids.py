"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_RANDOM_BITS = 74  # all that a version 7 identifier holds besides its time, version and variant
_STEP_BITS = 32
_BACKWARDS_MS = 10_000


class _Sequence:
    """Times and random parts that only grow, unless the clock is set back by more than ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = 0
        self._random = 0

    def next(self, ms: int) -> tuple[int, int]:
        with self._lock:
            if self._ms - _BACKWARDS_MS <= ms <= self._ms:
                self._random += secrets.randbits(_STEP_BITS) + 1
                if self._random >> _RANDOM_BITS:
                    self._ms += 1
                    self._random = _fresh()
            else:
                self._ms = ms
                self._random = _fresh()
            return self._ms, self._random


def _fresh() -> int:
    # The top bit starts clear, so that there is room to count up within one millisecond.
    return secrets.randbits(_RANDOM_BITS - 1)


# An injected clock and the machine's may be years apart: each keeps an order of its own.
_system = _Sequence()
_injected = _Sequence()


def uuid7(now: datetime | None = None) -> UUID:
    """A new version 7 UUID (RFC 9562), greater than every one this process made before.

    `now` is an aware time to put into it, from an injected clock; without it the machine's time is taken.
    """
    if now is None:
        ms, random = _system.next(time.time_ns() // 1_000_000)
    else:
        ms, random = _injected.next(int(now.timestamp() * 1000))
    upper, lower = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=ms << 80 | 0x7 << 76 | upper << 64 | 0b10 << 62 | lower)


def time_of(id: UUID) -> datetime | None:
    """The time in a version 7 UUID, in UTC, to the millisecond; None where it is of another version."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC) if id.version == 7 else None
