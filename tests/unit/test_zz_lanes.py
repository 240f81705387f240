"""Lanes and batches keep going, whatever their work does and whenever it is submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.model.envelope import Envelope
from freehold.runtime.batches import Batches
from freehold.runtime.injection import bind

StrayCancellation = RuntimeError
from freehold.runtime.lanes import Lanes

DEADLINE = 5


def lanes(width: int = 1, work: Any = None) -> Lanes[int]:
    async def nothing(item: int) -> None:
        await asyncio.sleep(0)

    return Lanes(width, work or nothing)


def batches(work: Any) -> Batches:
    async def run(subscriber: Any, envelopes: Sequence[Envelope]) -> None:
        await work(envelopes)

    return Batches(10, SimpleNamespace(name="many"), run)  # type: ignore[arg-type]


async def test_what_is_submitted_as_the_last_item_ends_is_not_forgotten() -> None:
    running = lanes()
    second: list[asyncio.Future[None]] = []
    first = running.submit("a", 1)
    first.add_done_callback(lambda _: second.append(running.submit("b", 2)))
    async with asyncio.timeout(DEADLINE):
        await first
        await asyncio.sleep(0)
        await second[0]


async def test_a_failing_item_fails_alone() -> None:
    async def work(item: int) -> None:
        if item == 1:
            raise RuntimeError("one")

    running = lanes(2, work)
    futures = [running.submit("a", item) for item in (0, 1, 2)]
    async with asyncio.timeout(DEADLINE):
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), RuntimeError, type(None)]


async def test_what_is_submitted_after_the_end_is_cancelled_at_once() -> None:
    running = lanes()
    await running.close(1)
    assert running.submit("a", 1).cancelled()

    async def nothing(envelopes: Sequence[Envelope]) -> None: ...

    gathering = batches(nothing)
    await gathering.close(1)
    assert gathering.submit(object()).cancelled()  # type: ignore[arg-type]


async def test_closing_finishes_what_is_at_work_and_cancels_what_waits() -> None:
    gate, done = asyncio.Event(), []

    async def work(item: int) -> None:
        await gate.wait()
        done.append(item)

    running = lanes(1, work)
    futures = [running.submit("a", item) for item in (1, 2)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(running.close(DEADLINE))
    await asyncio.sleep(0)
    gate.set()
    await closing
    assert done == [1]
    assert futures[0].done()
    assert futures[1].cancelled()
    assert not running._lanes


async def test_what_is_still_at_work_after_the_drain_is_cancelled() -> None:
    async def work(item: int) -> None:
        await asyncio.Event().wait()

    running = lanes(1, work)
    future = running.submit("a", 1)
    await asyncio.sleep(0)
    await running.close(0.01)
    assert future.cancelled()


async def test_nothing_is_kept_of_lanes_that_are_empty() -> None:
    running = lanes(4)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(running.submit(number % 1000, number) for number in range(5000)))
    await asyncio.sleep(0)
    assert not running._lanes
    assert not running._ready
    assert not running._workers


async def test_a_busy_lane_does_not_starve_the_others() -> None:
    order: list[int] = []

    async def work(item: int) -> None:
        await asyncio.sleep(0)
        order.append(item)

    running = lanes(1, work)
    futures = [running.submit("busy", number) for number in range(100)]
    futures.append(running.submit("other", -1))
    await asyncio.gather(*futures)
    assert order.index(-1) <= 1


async def test_a_batch_that_fails_does_not_end_the_queue() -> None:
    async def work(envelopes: Sequence[Envelope]) -> None:
        if len(handled) == 0:
            handled.append(0)
            raise RuntimeError("parking is out of order")
        handled.append(len(envelopes))

    handled: list[int] = []
    gathering = batches(work)
    with pytest.raises(RuntimeError):
        await gathering.submit(object())  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE):
        await gathering.submit(object())  # type: ignore[arg-type]
    assert handled == [0, 1]


async def test_a_handler_whose_own_work_was_cancelled_fails_like_any_other() -> None:
    async def handler(event: object) -> None:
        inner = asyncio.get_running_loop().create_future()
        inner.cancel()
        await inner

    with pytest.raises(StrayCancellation, match="handler"):
        await bind(handler)(object(), None)

    async def patient(event: object) -> None:
        await asyncio.Event().wait()

    task = asyncio.ensure_future(bind(patient)(object(), None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await bind(patient)(object(), None)
