"""One partition: what fails is delivered again in the order of its key, and nothing is committed past it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from freehold import uuid7
from freehold.buses.kafka import delivery
from freehold.buses.kafka.delivery import Partition, Record
from freehold.model.envelope import Envelope

DEADLINE = 10.0


class Entrance:
    """A group whose deliveries the test ends one by one."""

    def __init__(self) -> None:
        self.delivered: list[int] = []
        self.open: dict[int, asyncio.Future[None]] = {}
        self.aside: list[tuple[int, str]] = []
        self.aside_fails = 0
        self.moved = asyncio.Event()
        self.partition = Partition("orders", {"order.placed"}, self, self.set_aside, lambda _: self.moved.set())

    def __call__(self, event: Envelope) -> asyncio.Future[None]:
        number = json.loads(event.payload)
        self.delivered.append(number)
        self.open[number] = asyncio.get_running_loop().create_future()
        self.moved.set()
        return self.open[number]

    async def set_aside(self, record: Record, problem: str) -> None:
        if self.aside_fails:
            self.aside_fails -= 1
            raise ConnectionError("the broker is away")
        self.aside.append((record.offset, problem))

    async def end(self, number: int, error: BaseException | None = None) -> None:
        future = self.open.pop(number)
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(None)
        await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.moved.clear()
                await self.moved.wait()


def record(offset: int, key: str = "a", kind: str = "order.placed", body: bytes | None = None) -> Record:
    """A message whose number is its offset."""
    event = Envelope(uuid7(), kind, 1, "orders", "orders", key, datetime.now(UTC), str(offset))
    return Record("shop.orders", 0, offset, key.encode(), event.to_wire() if body is None else body)


@pytest.fixture
def entrance(monkeypatch: pytest.MonkeyPatch) -> Entrance:
    monkeypatch.setattr(delivery, "RETRY_WAITS", (0.01, 0.02))
    return Entrance()


async def test_events_of_other_types_are_passed_over(entrance: Entrance) -> None:
    entrance.partition.take(record(0, kind="order.paid"))
    assert (entrance.delivered, entrance.partition.position) == ([], 1)


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
async def test_what_fails_is_delivered_again_before_later_events_of_its_key(
    entrance: Entrance, error: BaseException
) -> None:
    for offset in range(3):
        entrance.partition.take(record(offset, "a"))
    entrance.partition.take(record(3, "b"))
    assert entrance.delivered == [0, 1, 2, 3]
    for offset in (0, 1, 2):  # a lane that was closed
        await entrance.end(offset, error)
    await entrance.end(3)
    entrance.partition.take(record(4, "a"))
    entrance.partition.take(record(5, "b"))
    assert entrance.delivered[4:] == [5], "a key that failed waits, another goes on"
    for offset in (0, 1, 2, 4):
        await entrance.until(lambda: len(entrance.open) == 2)
        assert set(entrance.open) == {5, offset}, "one at a time"
        assert entrance.partition.position == (offset or None)
        await entrance.end(offset)
    assert entrance.partition.position == 5
    entrance.partition.take(record(6, "a"))
    entrance.partition.take(record(7, "a"))
    assert entrance.delivered[-2:] == [6, 7], "and then as they come"


async def test_an_event_that_fails_while_an_earlier_one_is_tried_again_stays_behind_it(entrance: Entrance) -> None:
    for offset in range(3):
        entrance.partition.take(record(offset))
    await entrance.end(1, ValueError())
    await entrance.end(0, ValueError())  # with the lanes in another order
    await entrance.until(lambda: 0 in entrance.open)
    await entrance.end(2, ValueError())
    await entrance.end(0)
    await entrance.until(lambda: 1 in entrance.open)
    await entrance.end(1)
    await entrance.until(lambda: 2 in entrance.open)
    await entrance.end(2)
    assert entrance.delivered == [0, 1, 2, 0, 1, 2]
    assert entrance.partition.position == 3


async def test_an_entrance_that_raises_is_asked_again(entrance: Entrance) -> None:
    calls = 0

    def deliver(event: Envelope) -> asyncio.Future[None]:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError("closed")
        return entrance(event)

    entrance.partition._deliver = deliver
    entrance.partition.take(record(0))
    await entrance.until(lambda: 0 in entrance.open)
    assert calls == 3


async def test_attempts_become_rare(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "RETRY_WAITS", (0.01, 0.64))
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def deliver(event: Envelope) -> asyncio.Future[None]:
        times.append(loop.time())
        entrance.moved.set()
        future: asyncio.Future[None] = loop.create_future()
        future.cancel()
        return future

    entrance.partition._deliver = deliver
    entrance.partition.take(record(0))
    await entrance.until(lambda: len(times) == 7)
    assert times[-1] - times[-2] > 10 * (times[1] - times[0])


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"specversion": "1.0"}', b"\xff\x00"])
async def test_what_is_no_event_is_set_aside_and_the_partition_goes_on(entrance: Entrance, body: bytes) -> None:
    entrance.aside_fails = 2
    entrance.partition.take(record(0, body=body))
    entrance.partition.take(record(1))
    await entrance.end(1)
    assert entrance.partition.position is None, "it is not lost while it cannot be set aside"
    await entrance.until(lambda: entrance.partition.position == 2)
    assert [offset for offset, _ in entrance.aside] == [0]


async def test_release_waits_for_what_is_at_work_and_begins_nothing_more(entrance: Entrance) -> None:
    for offset in range(3):
        entrance.partition.take(record(offset, f"k{offset}"))
    await entrance.end(1, ValueError())
    released = asyncio.create_task(entrance.partition.release(DEADLINE))
    await asyncio.sleep(0)
    entrance.partition.take(record(3))
    await entrance.end(0)
    assert not released.done()
    await entrance.end(2)
    await released
    assert entrance.partition.position == 1, "the one that failed is the next owner's"
    await asyncio.sleep(0.05)
    assert entrance.delivered == [0, 1, 2]


async def test_release_does_not_wait_for_ever(entrance: Entrance) -> None:
    entrance.partition.take(record(0))
    await entrance.partition.release(0.01)
    assert entrance.partition.position is None


async def test_what_ends_after_the_partition_was_lost_moves_nothing(entrance: Entrance) -> None:
    entrance.partition.take(record(0))
    entrance.partition.drop()
    await entrance.end(0)
    assert entrance.partition.position is None


async def test_the_group_has_so_many_at_once_and_few_more_wait_before_the_partition_pauses(entrance: Entrance) -> None:
    few, many = delivery.BACKLOG
    for offset in range(delivery.UNFINISHED + many):
        assert not entrance.partition.is_full
        entrance.partition.take(record(offset, f"k{offset}"))
    assert entrance.partition.is_full
    assert len(entrance.open) == delivery.UNFINISHED
    ended = 0
    while not entrance.partition.has_room:
        await entrance.end(next(iter(entrance.open)))
        ended += 1
    assert ended == many - few
    assert len(entrance.open) == delivery.UNFINISHED
    assert entrance.delivered == list(range(delivery.UNFINISHED + ended))


async def test_one_slow_event_lets_many_others_pass_but_not_all(entrance: Entrance) -> None:
    entrance.partition.take(record(0, "slow"))
    for offset in range(1, delivery.SPAN + 10):
        entrance.partition.take(record(offset, "z"))
        if offset in entrance.open:
            await entrance.end(offset)
    assert entrance.delivered == list(range(delivery.SPAN)), "each of these would come again after a crash"
    await entrance.end(0)
    assert len(entrance.delivered) == delivery.SPAN + 10
    assert entrance.partition.position == delivery.SPAN


async def test_a_group_that_answers_at_once_never_makes_it_wait(entrance: Entrance) -> None:
    def deliver(event: Envelope) -> asyncio.Future[None]:
        future = entrance(event)
        future.set_result(None)
        return future

    entrance.partition._deliver = deliver
    for offset in range(3000):
        entrance.partition.take(record(offset))
    assert entrance.partition.position == 3000


async def test_a_failure_at_once_holds_back_what_would_follow_it(entrance: Entrance) -> None:
    failures = [3, 3]

    def deliver(event: Envelope) -> asyncio.Future[None]:
        future = entrance(event)
        number = entrance.delivered[-1]
        if number in failures:
            failures.remove(number)
            future.cancel()
        else:
            future.set_result(None)
        return future

    entrance.partition._deliver = deliver
    for offset in range(2000):
        entrance.partition.take(record(offset))
    await entrance.until(lambda: entrance.partition.position == 2000)
    assert entrance.delivered == [0, 1, 2, 3, 3, *range(3, 2000)]


async def test_what_ends_well_behind_a_failure_comes_again_behind_it(entrance: Entrance) -> None:
    for offset in range(3):
        entrance.partition.take(record(offset))
    await entrance.end(1, ValueError())
    await entrance.end(2)
    await entrance.end(0)
    assert entrance.partition.position == 1
    await entrance.until(lambda: 1 in entrance.open)
    await entrance.end(1)
    await entrance.until(lambda: 2 in entrance.open)
    await entrance.end(2)
    assert entrance.delivered == [0, 1, 2, 1, 2]
    assert entrance.partition.position == 3
