"""The circuit breaker: when it opens, whom it lets through, when it closes."""

from __future__ import annotations

import asyncio

import pytest

from freehold import Problem, Unavailable
from freehold.http.breaker import Breaker


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def fail(breaker: Breaker, error: Exception) -> None:
    with pytest.raises(type(error)):
        async with breaker.call():
            raise error


async def test_opens_after_failures_in_a_row_and_closes_after_a_probe() -> None:
    time = Time()
    breaker = Breaker("stock", failures=2, rest=5, now=time)
    await fail(breaker, Unavailable("down"))
    async with breaker.call():
        pass  # a success in between: not in a row
    await fail(breaker, Unavailable("down"))
    assert breaker.state == "closed"
    await fail(breaker, Unavailable("down"))
    assert breaker.state == "open"
    with pytest.raises(Unavailable, match="stock failed 2 times in a row"):
        async with breaker.call():
            raise AssertionError("nobody is called while it is open")
    time.now = 5.0
    assert breaker.state == "half-open"
    async with breaker.call():
        with pytest.raises(Unavailable):  # one probe at a time
            async with breaker.call():
                raise AssertionError
    assert breaker.state == "closed"


async def test_a_failed_probe_opens_it_again() -> None:
    time = Time()
    breaker = Breaker("stock", failures=1, rest=5, now=time)
    await fail(breaker, Unavailable("down"))
    time.now = 6.0
    await fail(breaker, Unavailable("still down"))
    assert breaker.state == "open"
    time.now = 11.0
    assert breaker.state == "half-open"


async def test_a_refusal_is_an_answer_and_a_cancelled_probe_makes_room_for_the_next() -> None:
    time = Time()
    breaker = Breaker("stock", failures=1, rest=5, now=time)
    await fail(breaker, Problem(404, "NOT_FOUND"))
    assert breaker.state == "closed"
    await fail(breaker, Unavailable("down"))
    time.now = 5.0

    async def hang() -> None:
        async with breaker.call():
            await asyncio.Event().wait()

    probe = asyncio.create_task(hang())
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    async with breaker.call():
        pass
    assert breaker.state == "closed"
