"""G1 to G5: what is committed is published, what is published is handled once, in order, and nothing is dropped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import pytest
from sqlalchemy import insert, select, update

from freehold import Problem, Retry, Tx, uuid7
from freehold.runtime.relay import Relay
from freehold.testing import Crash, crash_at
from tests.conformance.shop import Order, Placed, Seen, Shop, Taken, open_shop, placed
from tests.databases import Databases
from tests.matrix import on_engines


@pytest.fixture
async def shop(databases: Databases, bus_kind: str) -> AsyncIterator[Shop]:
    async with open_shop(databases, bus_kind) as opened:
        yield opened


@pytest.fixture
async def alone(databases: Databases) -> AsyncIterator[Shop]:
    """Nothing travels."""
    async with open_shop(databases) as opened:
        yield opened


# --- G1: published if and only if committed -------------------------------------------------------------------------------


@pytest.mark.guarantee("G1")
async def test_a_commit_publishes_and_a_rollback_does_not(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    await shop.publish(placed(1))

    async def fail(tx: Tx) -> None:
        tx.publish(placed(2))
        await tx.flush()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await shop.units["orders"].host.work().run(fail)
    await shop.publish(placed(3))
    await shop.settle()
    assert sorted(await shop.seen()) == [1, 3]


@pytest.mark.guarantee("G1")
async def test_a_problem_that_keeps_its_effects_publishes(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()

    async def refuse(tx: Tx, number: int, *, keep: bool) -> None:
        tx.publish(placed(number))
        raise Problem(409, "REFUSED", keep=keep)

    for number, keep in ((1, True), (2, False)):
        with pytest.raises(Problem):
            await shop.units["orders"].host.work().run(partial(refuse, number=number, keep=keep))
    await shop.settle()
    assert await shop.seen() == [1]


@pytest.mark.guarantee("G2")
async def test_late_commits_are_found_in_every_interleaving(shop: Shop, bus_kind: str) -> None:
    """Transactions take their numbers in one order and commit in another, while the relay is at work."""
    shop.handle("pay", batch=100)
    await shop.start()
    host, rng, expected = shop.units["orders"].host, random.Random(20), []
    width = 1 if host.engine.dialect == "sqlite" else 4
    rounds = 250 if bus_kind == "local" else 60  # the relay is the same; a broker is behind it
    for round_ in range(rounds):
        async with AsyncExitStack() as stack:
            opened = []
            for index in range(width):
                transaction = host.engine.write()
                connection = await transaction.__aenter__()
                stack.push_async_exit(transaction.__aexit__)
                opened.append((transaction, connection, round_ * width + index))
            rng.shuffle(opened)
            for _, connection, number in opened:
                from freehold.runtime.outbox import OutboxRow

                await host.outbox.write(connection, [OutboxRow.of(placed(number), uuid7(), {}, shop.clock.now())])
            rng.shuffle(opened)
            for transaction, _, number in opened:
                await transaction.__aexit__(None, None, None)
                expected.append(number)
                if rng.random() < 0.7:
                    host.outbox.wake()
                    await asyncio.sleep(0)
            stack.pop_all()
    host.outbox.wake()
    await shop.settle()
    assert sorted(await shop.seen()) == sorted(expected)


# --- G4: order of a key ---------------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G4")
async def test_events_of_one_aggregate_keep_the_order_of_its_lock(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    host, ids = shop.units["orders"].host, [uuid7() for _ in range(4)]
    async with host.work().transaction() as tx:
        tx.add_all([Order(id=id_, version=0) for id_ in ids])

    async def change(tx: Tx) -> None:
        order = await tx.get(Order, rng.choice(ids), lock=True)
        assert order is not None
        order.version += 1
        tx.publish(placed(order.version, order.id))
        await asyncio.sleep(rng.random() / 500)

    rng = random.Random(4)
    await asyncio.gather(*(host.work().run(change) for _ in range(200)))
    await shop.settle()
    async with shop.units["payments"].host.engine.read() as connection:
        rows = (await connection.execute(select(Seen.key, Seen.number).order_by(Seen.id))).all()
    assert len(rows) == 200
    for id_ in ids:
        numbers = [row.number for row in rows if row.key == id_]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.guarantee("G4")
@on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")
async def test_a_slow_key_does_not_hold_up_the_others(shop: Shop) -> None:
    slow, gate, others = uuid7(), asyncio.Event(), asyncio.Event()
    done: list[int] = []

    async def wait_for_gate(event: Placed, tx: Tx) -> None:
        if event.order_id == slow:
            await gate.wait()
        tx.on_commit(lambda: (done.append(event.number), others.set() if len(done) == 20 else None))

    shop.handle("pay", before=wait_for_gate)
    await shop.start()
    await shop.publish(placed(0, slow), *(placed(number) for number in range(1, 21)))
    try:
        async with asyncio.timeout(10):
            await others.wait()
        assert sorted(await shop.seen()) == list(range(1, 21))
    finally:
        gate.set()
    await shop.settle()
    assert len(await shop.seen()) == 21


# --- G3: once for each consumer -------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G2")
async def test_one_event_reaches_two_handlers_of_a_service_and_two_services(shop: Shop) -> None:
    shop.handle("first")
    shop.handle("second")

    @shop.stock.on(Placed)
    async def take(event: Placed, tx: Tx) -> None:
        await tx.execute(insert(Taken).values(number=event.number))

    stock = await shop.add(shop.stock)
    await stock.prepare()
    await shop.start()
    await shop.publish(placed(7))
    await shop.settle()
    assert await shop.seen("first") == await shop.seen("second") == [7]
    assert await shop.count("stock", Taken) == 1


@pytest.mark.guarantee("G3")
async def test_the_same_event_delivered_again_has_no_second_effect(shop: Shop) -> None:
    shop.handle("pay")
    shop.handle("pay in batches", batch=10)
    await shop.start()
    await shop.publish(placed(1), placed(2))
    await shop.settle()
    outbox = shop.units["orders"].host.tables.outbox
    for _ in range(3):
        async with shop.units["orders"].host.engine.write() as connection:
            await connection.execute(update(outbox).values(published_at=None))
        shop.units["orders"].host.outbox.wake()
        await shop.settle()
    assert sorted(await shop.seen("pay")) == sorted(await shop.seen("pay in batches")) == [1, 2]


@pytest.mark.guarantee("G3")
@pytest.mark.parametrize("point", ["inbox.before", "inbox.after", "handler.before_commit"])
async def test_a_crash_inside_the_handlers_transaction_leaves_neither_mark_nor_effect(alone: Shop, point: str) -> None:
    alone.handle("pay")
    await alone.add(alone.payments)
    payments = alone.units["payments"]
    subscriber = payments.group._subscribers["order.placed"][0]
    event = placed(1)
    from freehold.model.envelope import Envelope

    envelope = Envelope(
        uuid7(), "order.placed", 1, "orders", "orders", event.key, alone.clock.now(), event.model_dump_json()
    )
    with crash_at(point), pytest.raises(Crash):
        await payments.group.transact(subscriber, [envelope])
    assert await alone.count("payments", payments.host.tables.consumed) == 0
    assert await alone.seen() == []
    await payments.group.transact(subscriber, [envelope])
    await payments.group.transact(subscriber, [envelope])
    assert await alone.seen() == [1]


# --- G5: nothing is dropped -----------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G5")
@pytest.mark.parametrize("batch", [None, 10])
async def test_a_poison_event_is_parked_with_later_events_of_its_key_behind_it(shop: Shop, batch: int | None) -> None:
    shop.handle("pay", batch=batch)
    await shop.start()
    key = uuid7()
    await shop.publish(placed(1, key), placed(2, key, poison=True), placed(3, key), placed(4))
    await shop.settle()
    await shop.publish(placed(5, key))
    await shop.settle()
    assert sorted(await shop.seen()) == [1, 4]
    shop.curable = True
    await shop.retry(seconds=0.1)
    assert sorted(await shop.seen()) == [1, 4]
    await shop.retry(seconds=5)
    assert [number for number in await shop.seen() if number != 4] == [1, 2, 3, 5]
    await shop.publish(placed(6, key))
    await shop.settle()
    assert (await shop.seen())[-1] == 6
    assert await shop.count("payments", shop.units["payments"].host.tables.parked) == 0


@pytest.mark.guarantee("G5")
async def test_a_dead_event_lets_its_key_proceed_and_is_replayed_once(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    key = uuid7()
    await shop.publish(placed(1, key, poison=True), placed(2, key))
    await shop.settle()
    for _ in range(4):
        await shop.retry(minutes=10)
    assert await shop.seen() == [2]
    assert shop.failures == [1, 1, 1]
    letters = shop.units["payments"].dead_letters
    (letter,) = await letters.list()
    assert (letter.retry_count, letter.consumer_name, letter.status) == (3, "pay", "dead")
    assert "poison" in letter.error

    shop.curable = True
    await letters.replay(letter.id, by="test")
    with pytest.raises(Problem) as refused:
        await letters.replay(letter.id, by="test")
    assert refused.value.code == "ALREADY_RESOLVED"
    await shop.retry(seconds=1)
    assert await shop.seen() == [2, 1]
    assert await shop.count("payments", shop.units["payments"].host.tables.audit) == 1


@pytest.mark.guarantee("G5")
async def test_a_handler_may_hold_its_key_until_the_dead_event_is_dealt_with(shop: Shop) -> None:
    shop.handle("pay", on_dead="hold")
    await shop.start()
    key = uuid7()
    await shop.publish(placed(1, key, poison=True), placed(2, key))
    await shop.settle()
    for _ in range(4):
        await shop.retry(minutes=10)
    await shop.publish(placed(3, key), placed(4))
    await shop.settle()
    await shop.retry(minutes=10)
    assert await shop.seen() == [4]
    letters = shop.units["payments"].dead_letters
    (letter,) = await letters.list()
    shop.curable = True
    replayed = await letters.replay(letter.id, by="test")
    assert replayed.overtaken == 0
    await shop.retry(seconds=1)
    assert await shop.seen() == [4, 1, 2, 3]


@pytest.mark.guarantee("G5")
async def test_discarding_a_held_event_lets_the_others_go(shop: Shop) -> None:
    shop.handle("pay", on_dead="hold", retry=Retry(times=1))
    await shop.start()
    key = uuid7()
    await shop.publish(placed(1, key, poison=True), placed(2, key))
    await shop.settle()
    assert await shop.seen() == []
    (letter,) = await shop.units["payments"].dead_letters.list()
    await shop.units["payments"].dead_letters.discard(letter.id, by="test")
    await shop.retry(seconds=1)
    assert await shop.seen() == [2]
    assert await shop.units["payments"].dead_letters.list() == []


@pytest.mark.guarantee("G5")
async def test_a_broken_event_is_dead_at_once_and_names_what_is_wrong(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    await shop.publish(placed(1), placed(2))
    outbox = shop.units["orders"].host.tables.outbox
    await shop.settle()
    async with shop.units["orders"].host.engine.write() as connection:
        from freehold.runtime.outbox import OutboxRow

        row = OutboxRow.of(placed(3), uuid7(), {}, shop.clock.now())
        await connection.execute(insert(outbox), [{**row.columns(), "payload": '{"order_id": "no", "number": 3}'}])
    shop.units["orders"].host.outbox.wake()
    await shop.settle()
    assert sorted(await shop.seen()) == [1, 2]
    (letter,) = await shop.units["payments"].dead_letters.list()
    assert letter.error.startswith("Placed.order_id:")


# --- deadlocks, leases, relays --------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G9")
async def test_a_deadlock_is_retried_and_costs_nothing(alone: Shop) -> None:
    host = (await alone.add(alone.orders)).host
    first, second = uuid7(), uuid7()
    async with host.work().transaction() as tx:
        tx.add_all([Order(id=first, version=0), Order(id=second, version=0)])
    attempts = 0

    def crossing(one: object, other: object) -> object:
        async def change(tx: Tx) -> None:
            nonlocal attempts
            attempts += 1
            for id_ in (one, other):
                order = await tx.get(Order, id_, lock=True)
                assert order is not None
                order.version += 1
                await tx.flush()
                await asyncio.sleep(0.05)

        return change

    await asyncio.gather(host.work().run(crossing(first, second)), host.work().run(crossing(second, first)))  # type: ignore[arg-type]
    async with host.engine.read() as connection:
        assert list((await connection.execute(select(Order.version))).scalars()) == [2, 2]
    assert attempts == (2 if host.engine.dialect == "sqlite" else 3)


@pytest.mark.guarantee("G2")
async def test_a_second_relay_takes_over_and_the_first_one_can_mark_nothing_more(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    first = shop.units["orders"]
    await shop.publish(placed(1))
    await shop.settle()
    engine = await shop.databases.open("orders")
    from freehold.runtime.host import Host

    second_host = Host(shop.system, shop.orders, engine, clock=shop.clock)
    second = Relay(second_host, shop.bus)
    assert not await second._lease.acquire()
    stale = first.relay._lease
    shop.clock.advance(seconds=11)
    assert await second._lease.acquire()
    assert second._lease.epoch == (stale.epoch or 0) + 1
    async with first.host.engine.write() as connection:
        assert not await first.relay._mark(connection, [uuid7()])
        outbox = first.host.tables.outbox
        await connection.execute(update(outbox).values(published_at=None))
    async with first.host.engine.write() as connection:
        ids = list((await connection.execute(select(outbox.c.event_id))).scalars())
        assert not await first.relay._mark(connection, ids), "a relay that lost its lease marked an event"
        await connection.execute(update(outbox).values(published_at=shop.clock.now()))
    assert not await stale.renew()


@pytest.mark.guarantee("G2")
async def test_two_relays_at_once_lose_and_double_nothing(shop: Shop) -> None:
    shop.handle("pay")
    await shop.start()
    engine = await shop.databases.open("orders")
    from freehold.runtime.host import Host

    second = Relay(Host(shop.system, shop.orders, engine, clock=shop.clock), shop.bus)
    task = asyncio.create_task(second.run())
    try:
        for start in range(0, 300, 30):
            await shop.publish(*(placed(number) for number in range(start, start + 30)))
            shop.clock.advance(seconds=11)  # whoever holds the lease is late with its renewal
            await asyncio.sleep(0.02)
        async with asyncio.timeout(30):
            while len(await shop.seen()) < 300:
                shop.clock.advance(seconds=1)
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert sorted(await shop.seen()) == list(range(300))


@pytest.mark.guarantee("G5")
async def test_a_problem_that_a_handler_keeps_counts_as_handled(shop: Shop) -> None:
    @shop.payments.on(Placed, retry=Retry(times=1))
    async def pay(event: Placed, tx: Tx) -> None:
        await tx.execute(insert(Seen).values(handler="pay", key=event.order_id, number=event.number))
        raise Problem(409, "NOT_NOW", keep=True)

    await shop.start()
    await shop.publish(placed(1))
    await shop.settle()
    assert await shop.seen() == [1]
    assert await shop.units["payments"].dead_letters.list() == []
    assert await shop.count("payments", shop.units["payments"].host.tables.parked) == 0
