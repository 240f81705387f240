"""Parked events when two things happen at once: none is lost, doubled, overtaken or left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from freehold import Problem, Retry, Tx, uuid7
from freehold.buses.local import LocalBus
from freehold.deploy.unit import Unit
from freehold.model.envelope import Envelope
from freehold.runtime import dead_letters, parking
from freehold.runtime.dead_letters import Replayed, Sweep
from freehold.runtime.host import Host
from freehold.runtime.parking import Parking
from tests.conformance.shop import DEADLINE, Placed, Shop, open_shop, placed
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G5")

on_a_server = on_engines("postgres-schemas", "mariadb", why="SQLite has one writer")


@pytest.fixture
async def shop(databases: Databases) -> AsyncIterator[Shop]:
    """Events are handed to the consumer group."""
    async with open_shop(databases) as opened:
        yield opened


@pytest.fixture
async def travelling(databases: Databases, bus_kind: str) -> AsyncIterator[Shop]:
    """Events come over the bus."""
    async with open_shop(databases, bus_kind) as opened:
        yield opened


def parked_table(shop: Shop) -> Any:
    return shop.units["payments"].host.tables.parked


async def deliver(shop: Shop, *events: Placed, ids: list[UUID] | None = None) -> None:
    group = shop.units["payments"].group
    for index, event in enumerate(events):
        event_id = ids[index] if ids else uuid7()
        time = shop.clock.now()
        envelope = Envelope(event_id, "order.placed", 1, "orders", "orders", event.key, time, event.model_dump_json())
        async with asyncio.timeout(DEADLINE):
            await group.deliver(envelope)


# --- what is and is not the database's fault ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 10])
@pytest.mark.parametrize("error", [ConnectionRefusedError, TimeoutError, asyncio.CancelledError])
async def test_a_handler_whose_gateway_is_away_is_parked_and_its_lane_goes_on(
    travelling: Shop, error: type[BaseException], batch: int | None
) -> None:
    async def charge(event: Placed, tx: Tx) -> None:
        if event.poison and not travelling.curable:
            raise error("gateway")

    travelling.handle("pay", before=charge, batch=batch)
    await travelling.start()
    key = uuid7()
    await travelling.publish(placed(1, key, poison=True), placed(2, key), placed(3))
    await travelling.settle()
    assert await travelling.seen() == [3]
    await travelling.retry(seconds=5)
    travelling.curable = True
    await travelling.retry(seconds=10)
    assert await travelling.seen() == [3, 1, 2]


async def test_a_problem_that_keeps_its_effects_does_not_speak_for_the_rest_of_its_batch(travelling: Shop) -> None:
    async def refuse(event: Placed, tx: Tx) -> None:
        if event.number == 2:
            raise Problem(409, "EXPIRED", keep=True)

    travelling.handle("pay", before=refuse, batch=10)
    await travelling.start()
    await travelling.publish(*(placed(number) for number in (1, 2, 3, 4)))
    await travelling.settle()
    assert sorted(await travelling.seen()) == [1, 3, 4]


# --- an event parks while the one before it leaves ------------------------------------------------------------------------


@on_a_server
@pytest.mark.parametrize("leaves_by", ["retry", "discard"])
async def test_an_event_that_parks_while_the_last_one_leaves_is_not_left_behind(
    shop: Shop, leaves_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, gate = asyncio.Event(), asyncio.Event()

    async def wait(event: Placed, tx: Tx) -> None:
        if event.number == 1 and shop.curable:
            at_work.set()
            await gate.wait()

    shop.handle("pay", before=wait, on_dead="hold", retry=Retry(times=1 if leaves_by == "discard" else 3, first=1))
    await shop.start()
    payments, key = shop.units["payments"], uuid7()
    await deliver(shop, placed(1, key, poison=True))
    shop.curable = True
    shop.clock.advance(seconds=5)

    original = parking.promote

    async def slow(*given: Any) -> bool:
        found = await original(*given)
        at_work.set()
        await gate.wait()  # the one that leaves has looked for another, and is not committed yet
        return found

    if leaves_by == "retry":
        leaving: asyncio.Task[Any] = asyncio.create_task(payments.parking.run_due())
        await at_work.wait()
        monkeypatch.setattr(parking, "promote", slow)
        at_work.clear()
        gate.set()
        gate = asyncio.Event()
    else:
        (letter,) = await payments.dead_letters.list()
        monkeypatch.setattr(dead_letters, "promote", slow)
        leaving = asyncio.create_task(payments.dead_letters.discard(letter.id, by="test"))
    await at_work.wait()
    monkeypatch.undo()
    parking_task = asyncio.create_task(deliver(shop, placed(2, key)))
    await asyncio.sleep(0.2)  # it has inserted its row, and waits for the one that leaves
    gate.set()
    await asyncio.gather(leaving, parking_task)
    async with asyncio.timeout(DEADLINE):
        while 2 not in await shop.seen():
            shop.clock.advance(seconds=1)
            await payments.parking.run_due()
            await asyncio.sleep(0.01)
    assert await shop.count("payments", parked_table(shop)) == 0


async def test_parking_and_leaving_at_random_leaves_nothing_behind(travelling: Shop) -> None:
    travelling.handle("pay", retry=Retry(times=50, first=0.001, longest=0.002))
    await travelling.start()
    payments, keys = travelling.units["payments"], [uuid7() for _ in range(5)]
    stop = False

    async def retry() -> None:
        while not stop:
            travelling.clock.advance(seconds=1)
            await payments.parking.run_due()
            await asyncio.sleep(0)

    async def flicker() -> None:
        while not stop:
            travelling.curable = not travelling.curable
            await asyncio.sleep(0.003)

    tasks = [asyncio.create_task(retry()), asyncio.create_task(flicker())]
    for start in range(0, 200, 5):
        await travelling.publish(*(placed(start + n, keys[n], poison=n % 2 == 0) for n in range(5)))
    await travelling.settle()
    stop = True
    await asyncio.gather(*tasks)
    travelling.curable = True
    async with asyncio.timeout(DEADLINE):
        while await travelling.count("payments", parked_table(travelling)):
            travelling.clock.advance(seconds=10)
            await payments.parking.run_due()
    seen = await travelling.seen()
    assert sorted(seen) == list(range(200))
    for n in range(5):
        assert [number for number in seen if number % 5 == n] == list(range(n, 200, 5))


async def test_what_is_parked_while_the_list_of_keys_is_read_is_not_forgotten(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    payments, engine = shop.units["payments"].parking, shop.units["payments"].host.engine
    key, original = uuid7(), engine.read

    def read_slowly() -> Any:
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def reading() -> AsyncIterator[Any]:
            async with original() as connection:

                class Slow:
                    async def execute(self, statement: Any) -> Any:
                        rows = await connection.execute(statement)
                        engine.read = original  # type: ignore[method-assign]
                        await deliver(shop, placed(1, key, poison=True))
                        return rows

                yield Slow()

        return reading()

    engine.read = read_slowly  # type: ignore[method-assign]
    await payments.load()
    assert payments.holds("pay", str(key))


# --- order and time -------------------------------------------------------------------------------------------------------


async def test_an_event_parked_behind_does_not_hurry_the_first_of_its_key(shop: Shop) -> None:
    shop.handle("pay", retry=Retry(times=9, first=100, longest=100))
    await shop.start()
    key = uuid7()
    await deliver(shop, placed(1, key, poison=True), placed(2, key), placed(3, key))
    shop.curable = True
    await shop.retry(seconds=50)
    assert await shop.seen() == []
    await shop.retry(seconds=100)
    assert await shop.seen() == [1, 2, 3]


async def test_a_crash_after_parking_behind_forgets_nothing(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    key = uuid7()
    first, second = placed(1, key, poison=True), placed(2, key)
    ids = [uuid7(), uuid7()]
    await deliver(shop, first, second, ids=ids)
    again = Parking(shop.units["payments"].host)
    await again.load()
    assert again.holds("pay", str(key))
    await deliver(shop, first, second, ids=ids)  # neither was acknowledged
    assert await shop.count("payments", parked_table(shop)) == 2
    shop.curable = True
    await shop.retry(seconds=5)
    await deliver(shop, first, second, ids=ids)
    assert await shop.seen() == [1, 2]


async def test_another_process_that_takes_over_knows_what_is_parked(shop: Shop) -> None:
    """Two processes of one application, each with a bus of its own; whoever has the relay's lease handles."""
    from freehold import Service, System
    from tests.conformance.shop import PaymentsBase, Seen

    service = Service("both", tables=PaymentsBase, publishes=[Placed])

    @service.on(Placed, name="pay", retry=Retry(times=9, first=1000))
    async def pay(event: Placed, tx: Tx) -> None:
        await tx.execute(insert(Seen).values(handler="pay", key=event.order_id, number=event.number))
        if event.poison:
            raise RuntimeError("poison")

    system, units = System("app", [service]), []
    for _ in range(2):
        host = Host(system, service, await shop.databases.open("both"), clock=shop.clock)
        await host.create_tables()
        unit = Unit(host, LocalBus())
        await unit.prepare()
        units.append(unit)
    first, second = units
    key = uuid7()
    first.start(timers=False)
    async with first.host.work().transaction() as tx:
        tx.publish(placed(1, key, poison=True))
    await first.host.outbox.until_drained()
    await first.stop()
    second.start(timers=False)
    async with asyncio.timeout(DEADLINE), second.host.work().transaction() as tx:
        tx.publish(placed(2, key))
    await second.host.outbox.until_drained()
    async with second.host.engine.read() as connection:
        assert list(await connection.scalars(select(Seen.number))) == []
    await second.stop()


# --- many, slow, foreign --------------------------------------------------------------------------------------------------


async def test_thousands_of_due_events_and_those_of_a_handler_that_is_gone_hold_up_nobody(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    table, now = parked_table(shop), shop.clock.now()
    rows: list[dict[str, Any]] = [
        {
            "consumer_name": "gone" if number < 3000 else "pay", "event_id": uuid7(), "source": "orders",
            "event_type": "order.placed", "version": 1, "topic": "orders", "partition_key": str(key := uuid7()),
            "payload": placed(number, key).model_dump_json(), "headers": {}, "event_time": now, "parked_at": now,
            "retry_count": 1, "next_attempt_at": now,
        }
        for number in range(3300)
    ]  # fmt: skip
    async with shop.units["payments"].host.engine.write() as connection:
        for start in range(0, len(rows), 500):
            await connection.execute(table.insert(), rows[start : start + 500])
    assert await shop.units["payments"].parking.run_due() == 300
    assert sorted(await shop.seen()) == list(range(3000, 3300))
    assert await shop.count("payments", table) == 3000, "nothing of the handler that is gone was dropped"


@on_a_server
async def test_a_slow_retry_does_not_hold_up_the_retries_of_other_keys(shop: Shop) -> None:
    gate = asyncio.Event()

    async def wait(event: Placed, tx: Tx) -> None:
        if shop.curable and event.number == 1:
            await gate.wait()

    shop.handle("pay", before=wait)
    await shop.start()
    await deliver(shop, placed(1, poison=True), placed(2, poison=True), placed(3, poison=True))
    shop.curable = True
    shop.clock.advance(seconds=5)
    retrying = asyncio.create_task(shop.units["payments"].parking.run_due())
    async with asyncio.timeout(DEADLINE):
        while sorted(await shop.seen()) != [2, 3]:
            await asyncio.sleep(0.01)
    gate.set()
    await retrying
    assert sorted(await shop.seen()) == [1, 2, 3]


@on_a_server
async def test_two_processes_that_retry_the_same_event_bury_it_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.handle("pay", retry=Retry(times=2, first=1))
    await shop.start()
    await deliver(shop, placed(1, poison=True))
    shop.clock.advance(seconds=5)
    payments = shop.units["payments"]
    other_host = Host(shop.system, shop.payments, await shop.databases.open("payments"), clock=shop.clock)
    other = Unit(other_host, LocalBus())
    both = asyncio.Barrier(2)
    for unit in (payments, other):
        original = unit.parking._failed

        async def together(*given: Any, original: Any = original) -> None:
            await both.wait()
            await original(*given)

        monkeypatch.setattr(unit.parking, "_failed", together)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(payments.parking.run_due(), other.parking.run_due())
    assert len(await payments.dead_letters.list()) == 1
    assert await shop.count("payments", parked_table(shop)) == 0


async def test_two_dead_letters_of_one_event_are_both_replayed(shop: Shop) -> None:
    """A crash before the acknowledgement delivers an event again that is dead already."""
    shop.handle("pay", retry=Retry(times=1))
    await shop.start()
    event, ids = placed(1, poison=True), [uuid7()]
    await deliver(shop, event, ids=ids)
    await deliver(shop, event, ids=ids)
    letters = shop.units["payments"].dead_letters
    assert len(await letters.list()) == 2
    shop.curable = True
    assert await letters.replay_all(by="test") == Sweep(resolved=2, skipped=0)
    await shop.retry(seconds=5)
    assert await shop.seen() == [1]


async def test_all_are_replayed_but_for_what_somebody_else_resolves_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.handle("pay", retry=Retry(times=1))
    await shop.start()
    for number in range(1, 4):
        await deliver(shop, placed(number, poison=True))
    letters = shop.units["payments"].dead_letters
    first, second, _ = await letters.list()
    replay = letters.replay

    async def with_another_operator(letter_id: UUID, *, by: str) -> Replayed:
        if letter_id == first.id:
            await letters.discard(second.id, by="somebody else")
        return await replay(letter_id, by=by)

    monkeypatch.setattr(letters, "replay", with_another_operator)
    shop.curable = True
    assert await letters.replay_all(by="test") == Sweep(resolved=2, skipped=1)
    await shop.retry(seconds=5)
    assert sorted(await shop.seen()) == [1, 3]
    assert (await letters.get(second.id)).resolved_by == "somebody else"


async def test_a_type_that_its_handler_no_longer_takes_dies_with_its_name(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    key = uuid7()
    await deliver(shop, placed(1, key, poison=True), placed(2, key))
    table = parked_table(shop)
    async with shop.units["payments"].host.engine.write() as connection:
        first = table.c.retry_count == 1
        await connection.execute(update(table).where(first).values(event_type="order.renamed"))
    for _ in range(3):
        await shop.retry(seconds=60)
    (letter,) = await shop.units["payments"].dead_letters.list()
    assert "order.renamed" in letter.error
    assert await shop.seen() == [2]


async def test_a_lease_and_a_job_left_behind_by_a_clock_that_was_wrong_wait_for_nobody(shop: Shop) -> None:
    runs = []

    @shop.payments.every(minutes=1)
    async def sweep(tx: Tx) -> None:
        runs.append(tx.now())

    from freehold.runtime.lease import Lease

    unit = await shop.add(shop.payments)
    await unit.jobs.run_due()
    begun = shop.clock.now()
    shop.clock.advance(days=3650)
    assert await Lease(unit.host, "relay").acquire()
    await unit.jobs.run_due()
    shop.clock.advance(days=-3650)
    await unit.jobs.run_due()
    assert runs[2:] == [begun]
    await unit.jobs.run_due()
    assert len(runs) == 3
    shop.clock.advance(minutes=1)
    await unit.jobs.run_due()
    assert runs[3:] == [begun + timedelta(minutes=1)]
    other = Host(shop.system, shop.payments, await shop.databases.open("payments"), clock=shop.clock)
    assert await Lease(other, "relay").acquire()
    shop.clock.advance(seconds=-5)  # a little: nobody takes it away for that
    assert not await Lease(unit.host, "relay").acquire()
