"""Counters in memory and in Redis give the same answers for the same history, and lose nothing on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freehold.stores import Claim, Counters, Outcome, open_store
from tests.servers import redis_url

pytestmark = pytest.mark.guarantee("G9")

COUNTERS, CLAIMS, HOLDERS = ("north", "south"), tuple("abcdefgh"), ("", "ann", "bob")
counter, claim, holder = st.sampled_from(COUNTERS), st.sampled_from(CLAIMS), st.sampled_from(HOLDERS)


class Histories(RuleBasedStateMachine):
    """A history of two counters, beside a ledger of what must be there."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._store = self._runner.run(self._open())
        self._both: list[Counters] = [
            open_store("memory://", "").shelf("").counters,
            self._store.shelf("orders").counters,
        ]
        self.whole: dict[str, int] = {}
        self.open: dict[str, tuple[str, int, str, str]] = {}
        self.ended: set[str] = set()

    async def _open(self) -> Any:
        return open_store(redis_url(), f"test-{uuid4().hex}")

    def teardown(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()

    def ask(self, call: Callable[[Counters], Awaitable[Any]]) -> Any:
        async def one(counters: Counters) -> Any:
            return await call(counters)

        memory, redis = (self._runner.run(one(counters)) for counters in self._both)
        assert memory == redis
        return memory

    @rule(counter=counter, left=st.integers(0, 6))
    def restore(self, counter: str, left: int) -> None:
        claims = [
            Claim(claim, quantity, holder, "confirmed" if status == "confirmed" else "reserved")
            for claim, (of, quantity, holder, status) in self.open.items()
            if of == counter
        ]
        made = self.ask(lambda counters: counters.restore(counter, left, claims))
        assert made == (counter not in self.whole)
        if made:
            self.whole[counter] = left + self.taken(counter)

    @rule(counter=counter, claim=claim, quantity=st.integers(1, 3), holder=holder, limit=st.sampled_from((None, 0, 3)))
    def reserve(self, counter: str, claim: str, quantity: int, holder: str, limit: int | None) -> None:
        limit = limit if holder else None
        answer = self.ask(lambda counters: counters.reserve(counter, claim, quantity, holder=holder, limit=limit))
        if claim in self.open or claim in self.ended:
            assert answer.outcome.startswith("already_")
        elif counter not in self.whole:
            assert answer.outcome is Outcome.UNKNOWN_COUNTER
        elif self.left(counter) < quantity:
            assert answer.outcome is Outcome.TOO_FEW
        elif limit is not None and self.held(holder) + quantity > limit:
            assert answer.outcome is Outcome.OVER_LIMIT
        else:
            assert answer.done
            self.open[claim] = (counter, quantity, holder, "reserved")

    @rule(claim=claim)
    def confirm(self, claim: str) -> None:
        answer = self.ask(lambda counters: counters.confirm(claim))
        known = self.open.get(claim)
        assert answer.done == (known is not None and known[3] == "reserved")
        if known is not None:
            self.open[claim] = (*known[:3], "confirmed")

    @rule(claim=claim, confirmed=st.booleans())
    def end(self, claim: str, confirmed: bool) -> None:
        answer = self.ask(lambda counters: (counters.give_back if confirmed else counters.release)(claim))
        known = self.open.get(claim)
        assert answer.done == (known is not None and known[3] == ("confirmed" if confirmed else "reserved"))
        if answer.done:
            del self.open[claim]
            self.ended.add(claim)

    @rule(counter=counter, difference=st.integers(-2, 4))
    def add(self, counter: str, difference: int) -> None:
        assert (self.ask(lambda counters: counters.add(counter, difference)) is None) == (counter not in self.whole)
        if counter in self.whole:
            self.whole[counter] += difference

    @rule(counter=counter, left=st.integers(0, 6), version=st.integers(1, 5))
    def set(self, counter: str, left: int, version: int) -> None:
        if self.ask(lambda counters: counters.set(counter, left, version)):
            self.whole[counter] = left + self.taken(counter)

    @rule(counter=counter)
    def lose(self, counter: str) -> None:
        self.ask(lambda counters: counters.forget(counters=[counter]))
        self.whole.pop(counter, None)

    @invariant()
    def nothing_is_lost(self) -> None:
        levels = self.ask(lambda counters: counters.levels(COUNTERS))
        assert {counter: level.left for counter, level in levels.items()} == {
            counter: self.left(counter) for counter in self.whole
        }
        for holder in HOLDERS[1:]:
            assert self.ask(lambda counters, holder=holder: counters.held(holder)) == self.held(holder)

    def taken(self, counter: str) -> int:
        return sum(quantity for of, quantity, _, _ in self.open.values() if of == counter)

    def left(self, counter: str) -> int:
        return self.whole[counter] - self.taken(counter)

    def held(self, holder: str) -> int:
        return sum(quantity for _, quantity, of, _ in self.open.values() if of == holder)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.reuse, Phase.generate],  # to shrink a history takes minutes
)  # fmt: skip
