"""The relay when the bus refuses, the lease changes hands, or a row makes no sense: nobody else waits for that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import insert, text, update

from freehold import uuid7
from freehold.model.envelope import Envelope
from freehold.model.errors import BusUnavailable, Refused
from freehold.model.ports import Deliver
from freehold.runtime.host import Host
from freehold.runtime.outbox import OutboxRow
from freehold.runtime.relay import Relay, RelaySettings
from tests.conformance.shop import DEADLINE, Placed, Shop, open_shop, placed
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G2")

FAST = {"first_wait": 0.05, "idle": 0.05}


class TestBus:
    """Remembers what it was given, and answers as the test says."""

    __test__ = False

    def __init__(self) -> None:
        self.published: list[int] = []
        self.answer: Callable[[int], BaseException | None] = lambda number: None
        self.silent: set[int] = set()
        self.unanswered: list[asyncio.Future[None]] = []

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        futures = []
        for event in events:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            number = json.loads(event.payload)["number"]
            self.published.append(number)
            error = self.answer(number)
            if number in self.silent:
                self.unanswered.append(future)
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)
            futures.append(future)
        return futures

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None: ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
async def shop(databases: Databases) -> AsyncIterator[Shop]:
    async with open_shop(databases) as opened:
        opened.bus = TestBus()  # type: ignore[assignment]
        yield opened


def bus(shop: Shop) -> TestBus:
    return shop.bus  # type: ignore[return-value]


async def pending(shop: Shop) -> int:
    outbox = shop.units["orders"].host.tables.outbox
    async with shop.units["orders"].host.engine.read() as connection:
        return len((await connection.execute(outbox.select().where(outbox.c.published_at.is_(None)))).all())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.guarantee("G4")
async def test_a_refused_event_holds_up_its_key_and_no_other_though_many_wait_behind_it(shop: Shop) -> None:
    unit = await shop.add(shop.orders, batch=10, tries=4, **FAST)
    key = uuid7()
    bus(shop).answer = lambda number: Refused("too large") if number == 0 else None
    await shop.publish(placed(0, key))
    unit.start(timers=False)
    await until(lambda: 0 in bus(shop).published)
    await asyncio.sleep(0.02)
    await shop.publish(*(placed(number, key) for number in range(1, 51)))
    await shop.publish(placed(100))
    await until(lambda: 100 in bus(shop).published)
    assert bus(shop).published.count(0) < 4, "another key's event was sent only when the refused one had died"
    await shop.settle()
    assert bus(shop).published.count(0) == 4
    assert [number for number in bus(shop).published if 0 < number < 100] == list(range(1, 51))
    (letter,) = await unit.dead_letters.list()
    assert (letter.direction, letter.retry_count) == ("publish", 4)
    bus(shop).answer = lambda number: None
    assert (await unit.dead_letters.replay(letter.id, by="test")).overtaken == 50
    await shop.settle()
    assert bus(shop).published[-1] == 0


async def test_a_refusal_is_forgotten_once_another_process_has_worked(shop: Shop) -> None:
    unit = await shop.add(shop.orders, tries=50, first_wait=1000, idle=0.05)
    key = uuid7()
    bus(shop).answer = lambda number: Refused("no such topic") if number == 1 else None
    await shop.publish(placed(1, key))
    unit.start(timers=False)
    await until(lambda: bool(unit.relay._refusals))
    host = Host(shop.system, shop.orders, await shop.databases.open("orders"), clock=shop.clock)
    other = Relay(host, shop.bus, RelaySettings(idle=0.05))
    shop.clock.advance(seconds=11)
    assert await other.claim()
    outbox = host.tables.outbox
    async with host.engine.write() as connection:
        await connection.execute(update(outbox).values(published_at=shop.clock.now()))  # it had more luck
    await shop.publish(placed(2, key))
    await other.stop()
    await until(lambda: 2 in bus(shop).published)


async def test_refusals_cost_nothing_and_are_not_repeated_in_haste_once_the_lease_is_lost(shop: Shop) -> None:
    unit = await shop.add(shop.orders, tries=3, **FAST)
    bus(shop).answer = lambda number: Refused("too large")
    bus(shop).silent = {2}
    await shop.publish(placed(2))
    unit.start(timers=False)
    await until(lambda: bool(bus(shop).published))
    host = Host(shop.system, shop.orders, await shop.databases.open("orders"), clock=shop.clock)
    shop.clock.advance(seconds=11)
    assert await Relay(host, shop.bus).claim()
    await shop.publish(placed(1))
    await asyncio.sleep(0.5)
    assert bus(shop).published.count(1) <= 1
    assert await shop.count("orders", host.tables.dead_letters) == 0


async def test_a_bus_that_goes_away_costs_no_retry_and_gets_everything_later(shop: Shop) -> None:
    unit = await shop.add(shop.orders, tries=2, **FAST)
    bus(shop).answer = lambda number: BusUnavailable("gone") if number % 2 else None
    key = uuid7()
    await shop.publish(*(placed(number, key) for number in range(10)))
    unit.start(timers=False)
    await until(lambda: bus(shop).published.count(1) > 3)
    bus(shop).answer = lambda number: None
    await shop.settle()
    assert await pending(shop) == 0
    assert await unit.dead_letters.list() == []


@pytest.mark.guarantee("G4")
async def test_an_event_that_is_claimed_while_an_earlier_one_fails_does_not_overtake_it(shop: Shop) -> None:
    unit = await shop.add(shop.orders, **FAST)
    key, claim = uuid7(), unit.relay._claim
    bus(shop).silent = {1}

    async def claim_and_fail(flight: Any) -> list[Envelope]:
        claimed = await claim(flight)
        if claimed and 1 in bus(shop).published:  # the second event; the first fails before this one is handed over
            bus(shop).silent.clear()
            (first,) = bus(shop).unanswered
            if not first.done():
                first.set_exception(BusUnavailable("gone"))
                await asyncio.sleep(0)
        return claimed

    unit.relay._claim = claim_and_fail  # type: ignore[method-assign]
    await shop.publish(placed(1, key))
    unit.start(timers=False)
    await until(lambda: 1 in bus(shop).published)
    await shop.publish(placed(2, key))
    await shop.settle()
    assert bus(shop).published == [1, 1, 2]


async def test_nothing_counts_as_drained_while_an_answer_is_out(shop: Shop) -> None:
    unit = await shop.add(shop.orders, **FAST)
    bus(shop).silent = {1}
    await shop.publish(placed(1))
    unit.start(timers=False)
    await until(lambda: bool(bus(shop).published))
    for number in range(2, 30):
        await shop.publish(placed(number))
        await asyncio.sleep(0.005)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await unit.host.outbox.until_drained()
    assert await pending(shop) >= 1


@on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")
async def test_a_late_commit_is_found_while_there_is_always_more(shop: Shop) -> None:
    unit = await shop.add(shop.orders, batch=5, in_flight=20, gather=0.001)
    host, stop = unit.host, asyncio.Event()
    unit.start(timers=False)

    async def load() -> None:
        number = 1000
        while not stop.is_set():
            number += 10
            await shop.publish(*(placed(number + n) for n in range(10)))

    async with host.engine.write() as late:
        await host.outbox.write(late, [OutboxRow.of(placed(1), uuid7(), {}, shop.clock.now())])
        loading = [asyncio.create_task(load()) for _ in range(2)]
        await until(lambda: len(bus(shop).published) > 300)
    await until(lambda: 1 in bus(shop).published)
    assert not loading[0].done()
    stop.set()
    await asyncio.gather(*loading)
    await shop.settle()
    assert await pending(shop) == 0


@pytest.mark.guarantee("G4")
@on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")
async def test_a_later_event_of_the_key_does_not_overtake_one_whose_number_was_passed_when_it_committed(
    shop: Shop,
) -> None:
    unit = await shop.add(shop.orders, **FAST)
    host, key = unit.host, uuid7()
    bus(shop).silent = {0}  # something is out, so the relay reads only behind what it knows
    unit.start(timers=False)
    for round in range(20):
        first = 10 * round + 1
        async with host.engine.write() as late:
            await host.outbox.write(late, [OutboxRow.of(placed(first, key), uuid7(), {}, shop.clock.now())])
            await shop.publish(placed(first - 1))
            await until(lambda first=first: first - 1 in bus(shop).published)
        await shop.publish(placed(first + 1, key))
        await until(lambda first=first: first + 1 in bus(shop).published)
        assert bus(shop).published[-2:] == [first, first + 1]


@pytest.mark.guarantee("G4")
async def test_a_later_event_of_the_key_does_not_overtake_a_refused_one_that_is_not_counted_yet(shop: Shop) -> None:
    unit = await shop.add(shop.orders, tries=50, mark_after=1000, first_wait=0.05, idle=0.05)
    key, refuse = uuid7(), {1, 2}
    bus(shop).answer = lambda number: Refused("too large") if number in refuse else None
    bus(shop).silent = {0}  # answers wait for others to be marked with while something is out
    await shop.publish(placed(0), placed(1, key), placed(2, key))
    unit.start(timers=False)
    await until(lambda: 2 in bus(shop).published)
    await shop.publish(placed(3, key), placed(100))
    await until(lambda: 100 in bus(shop).published)
    assert 3 not in bus(shop).published
    unit.relay._settings = RelaySettings(tries=50, first_wait=0.05, idle=0.05)
    refuse.clear()
    await shop.publish(*(placed(number) for number in range(101, 700)))
    await until(lambda: 3 in bus(shop).published)
    assert [number for number in bus(shop).published if number in {1, 2, 3}][-3:] == [1, 2, 3]


BROKEN = {
    "sqlite": [("headers", "'{no json'"), ("headers", "'[1]'"), ("headers", "'null'"), ("created_at", "'yesterday'")],
    "postgres": [("headers", "'[1]'"), ("headers", "'null'")],
    "mariadb": [("headers", "'[1]'"), ("headers", "'null'")],
}


@pytest.mark.guarantee("G5")
async def test_a_row_that_cannot_be_read_dies_and_the_others_go_on(shop: Shop) -> None:
    unit = await shop.add(shop.orders, **FAST)
    broken = BROKEN[shop.databases.kind.partition("-")[0]]
    count = len(broken)
    await shop.publish(*(placed(number) for number in range(count + 3)))
    outbox = unit.host.tables.outbox
    async with unit.host.engine.write() as connection:
        numbers = list(await connection.scalars(outbox.select().with_only_columns(outbox.c.seq).order_by(outbox.c.seq)))
        for number, (column, value) in zip(numbers[1:], broken, strict=False):
            cast = "::jsonb" if column == "headers" and connection.dialect.name == "postgresql" else ""
            await connection.execute(text(f"UPDATE outbox_events SET {column} = {value}{cast} WHERE seq = {number}"))
    unit.start(timers=False)
    await shop.settle()
    assert bus(shop).published == [0, *range(count + 1, count + 3)]
    letters = await unit.dead_letters.list()
    assert len(letters) == count
    assert all("cannot be read" in letter.error for letter in letters)
    await unit.dead_letters.replay(letters[0].id, by="test")  # not mended yet: it dies again
    await shop.publish(placed(99))
    await shop.settle()
    assert bus(shop).published[-1] == 99
    assert len(await unit.dead_letters.list()) == count


async def test_events_of_a_type_that_nobody_takes_are_published_to_nobody(databases: Databases, bus_kind: str) -> None:
    async with open_shop(databases, bus_kind) as shop:
        await shop.start()
        await shop.publish(*(placed(number) for number in range(20)))
        await shop.settle()
        assert await pending(shop) == 0


async def test_flights_that_are_given_up_again_and_again_do_not_pile_up(databases: Databases, bus_kind: str) -> None:
    """The lease is lost and won while handlers are slow: events are handed over again, and no effect is doubled."""
    gate = asyncio.Event()

    async def wait(event: Placed, tx: object) -> None:
        await gate.wait()

    async with open_shop(databases, bus_kind) as shop:
        shop.handle("pay", before=wait)
        await shop.start()
        await shop.publish(*(placed(number) for number in range(50)))
        relay = shop.units["orders"].relay
        leases, host = shop.units["orders"].host.tables.leases, shop.units["orders"].host
        for _ in range(5):
            async with host.engine.write() as connection:
                await connection.execute(update(leases).values(epoch=leases.c.epoch + 1))
            relay._lease.epoch = None
            host.outbox.stir()
            await asyncio.sleep(0.05)
        gate.set()
        async with asyncio.timeout(DEADLINE):  # how often each comes, the bus decides
            while len(await shop.seen()) < 50 or await pending(shop):
                await asyncio.sleep(0.01)
        assert sorted(await shop.seen()) == list(range(50))


async def test_insert_by_hand_without_headers_is_refused_by_the_table(shop: Shop) -> None:
    unit = await shop.add(shop.orders)
    row = OutboxRow.of(placed(1), uuid7(), {}, shop.clock.now()).columns()
    with pytest.raises(Exception, match=r"(?i)null"):
        async with unit.host.engine.write() as connection:
            await connection.execute(insert(unit.host.tables.outbox), [{**row, "headers": None}])
