"""Live counters of one process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from freehold.stores.counters import ENDED_SECONDS, Claim, Counted, Level, Outcome, check_reserve


@dataclass(slots=True)
class _Count:
    left: int
    version: int = 0


@dataclass(slots=True)
class _Claimed:
    counter: str
    quantity: int
    holder: str
    status: Literal["reserved", "confirmed", "released"] = "reserved"


class MemoryCounters:
    """Counters of this process.

    Args:
        now: seconds that only grow.
    """

    shared = False

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: dict[str, _Count] = {}
        self._claims: dict[str, _Claimed] = {}
        self._held: dict[str, int] = {}
        self._ended: deque[tuple[float, str, _Claimed]] = deque()

    async def reserve(
        self, counter: str, claim: str, quantity: int, *, holder: str = "", limit: int | None = None
    ) -> Counted:
        check_reserve(quantity, holder, limit)
        self._forget_ended()
        count = self._counts.get(counter)
        if claim in self._claims:
            return self._already(claim)
        if count is None:
            return Counted(Outcome.UNKNOWN_COUNTER, None)
        if count.left < quantity:
            return Counted(Outcome.TOO_FEW, count.left)
        if limit is not None and self._held.get(holder, 0) + quantity > limit:
            return Counted(Outcome.OVER_LIMIT, count.left)
        count.left -= quantity
        self._claim(claim, _Claimed(counter, quantity, holder))
        return Counted(Outcome.DONE, count.left)

    async def confirm(self, claim: str) -> Counted:
        claimed = self._claims.get(claim)
        if claimed is None or claimed.status != "reserved":
            return self._already(claim)
        claimed.status = "confirmed"
        return Counted(Outcome.DONE, self._left(claimed.counter))

    async def release(self, claim: str) -> Counted:
        return self._end(claim, "reserved")

    async def give_back(self, claim: str) -> Counted:
        answer = self._end(claim, "confirmed")
        return Counted(Outcome.NOT_CONFIRMED, answer.left) if answer.outcome == Outcome.ALREADY_RESERVED else answer

    async def levels(self, counters: Iterable[str]) -> dict[str, Level]:
        found = {counter: self._counts[counter] for counter in counters if counter in self._counts}
        return {counter: Level(count.left, count.version) for counter, count in found.items()}

    async def held(self, holder: str) -> int:
        return self._held.get(holder, 0)

    async def add(self, counter: str, difference: int) -> int | None:
        if counter in self._counts:
            self._counts[counter].left += difference
        return self._left(counter)

    async def restore(self, counter: str, left: int, claims: Iterable[Claim] = ()) -> bool:
        if counter in self._counts:
            return False
        for claim in claims:
            if claim.id not in self._claims:
                self._claim(claim.id, _Claimed(counter, claim.quantity, claim.holder, claim.status))
        self._counts[counter] = _Count(left)
        return True

    async def set(self, counter: str, left: int, version: int) -> bool:
        count = self._counts.get(counter)
        if count is not None and count.version > version:
            return False
        self._counts[counter] = _Count(left, version)
        return True

    async def forget(
        self, *, counters: Iterable[str] = (), claims: Iterable[str] = (), holders: Iterable[str] = ()
    ) -> None:
        for counter in counters:
            self._counts.pop(counter, None)
        for claim in claims:
            self._claims.pop(claim, None)
        for holder in holders:
            self._held.pop(holder, None)

    def _claim(self, claim: str, claimed: _Claimed) -> None:
        self._claims[claim] = claimed
        if claimed.holder:
            self._held[claimed.holder] = self._held.get(claimed.holder, 0) + claimed.quantity

    def _end(self, claim: str, status: Literal["reserved", "confirmed"]) -> Counted:
        claimed = self._claims.get(claim)
        if claimed is None or claimed.status != status:
            return self._already(claim)
        claimed.status = "released"
        self._ended.append((self._now(), claim, claimed))
        if claimed.counter in self._counts:
            self._counts[claimed.counter].left += claimed.quantity
        if claimed.holder in self._held:
            self._held[claimed.holder] -= claimed.quantity
            if self._held[claimed.holder] <= 0:
                del self._held[claimed.holder]
        return Counted(Outcome.DONE, self._left(claimed.counter))

    def _already(self, claim: str) -> Counted:
        claimed = self._claims.get(claim)
        if claimed is None:
            return Counted(Outcome.UNKNOWN_CLAIM, None)
        return Counted(Outcome(f"already_{claimed.status}"), self._left(claimed.counter))

    def _left(self, counter: str) -> int | None:
        return self._counts[counter].left if counter in self._counts else None

    def _forget_ended(self) -> None:
        while self._ended and self._ended[0][0] + ENDED_SECONDS <= self._now():
            _, claim, claimed = self._ended.popleft()
            if self._claims.get(claim) is claimed:
                del self._claims[claim]
