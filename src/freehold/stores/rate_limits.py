"""How often somebody may do something: token buckets."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a token was there.

    Args:
        allowed: it was, and is taken.
        remaining: whole tokens left.
        full_after: seconds until the bucket is full again.
        retry_after: seconds until the next token; 0 when there is one.
    """

    allowed: bool
    remaining: int
    full_after: float
    retry_after: float

    @classmethod
    def of(cls, *, allowed: bool, level: float, per_second: float, burst: int) -> Self:
        """The verdict that leaves a bucket at this level."""
        wait = 0.0 if level >= 1 else (1 - level) / per_second
        return cls(allowed, int(level), (burst - level) / per_second, wait)


class RateLimits(Protocol):
    """Token buckets by name."""

    async def take(self, bucket: str, per_second: float, burst: int) -> Verdict:
        """Take a token from the bucket, which holds `burst` at most and gets `per_second` back."""
        ...


class MemoryRateLimits:
    """Token buckets of this process.

    Args:
        buckets: how many are remembered; the one unused for longest is forgotten, and full when it is seen again.
        now: seconds that only grow.
    """

    def __init__(self, *, buckets: int = 100_000, now: Callable[[], float] = time.monotonic) -> None:
        self._size = buckets
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def take(self, bucket: str, per_second: float, burst: int) -> Verdict:
        now = self._now()
        level, since = self._buckets.get(bucket, (float(burst), now))
        level = min(float(burst), level + (now - since) * per_second)
        allowed = level >= 1
        if allowed:
            level -= 1
        self._buckets[bucket] = (level, now)
        self._buckets.move_to_end(bucket)
        while len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return Verdict.of(allowed=allowed, level=level, per_second=per_second, burst=burst)
