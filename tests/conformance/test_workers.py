"""Several processes of one service: what they share, what each has for itself, and who takes over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from freehold import Retry, uuid7
from freehold.buses.local import LocalBus
from freehold.deploy.unit import Unit
from freehold.model.envelope import Envelope
from freehold.runtime.relay import TTL
from tests.buses import having
from tests.conformance.shop import DEADLINE, Placed, Seen, Shop, open_shop, placed
from tests.databases import Databases
from tests.matrix import on_buses

pytestmark = pytest.mark.guarantee("G5")

on_brokers = on_buses(*having("shares"), why="only with a broker a group may have several processes")


@pytest.fixture
async def shop(databases: Databases) -> AsyncIterator[Shop]:
    """Each process has a bus that the test made, or events are handed to its consumer group."""
    async with open_shop(databases) as opened:
        yield opened


@pytest.fixture
async def travelling(databases: Databases, bus_kind: str) -> AsyncIterator[Shop]:
    """Events come over the bus."""
    async with open_shop(databases, bus_kind) as opened:
        yield opened


async def numbers(unit: Unit) -> list[int]:
    """The numbers of the events that had their effect, in that order."""
    async with unit.host.engine.read() as connection:
        return list(await connection.scalars(select(Seen.number).order_by(Seen.id)))


async def until(unit: Unit, expected: list[int]) -> None:
    """Until those events, and no others, have had their effects in that order."""
    found: list[int] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while (found := await numbers(unit)) != expected:
                assert len(found) <= len(expected), found
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{found} instead of {expected}") from None


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G2")
@on_brokers
async def test_each_part_works_in_a_process_of_its_own(travelling: Shop) -> None:
    travelling.handle("pay")
    asking = await travelling.process(travelling.orders, parts=())
    relaying = await travelling.process(travelling.orders, parts=("relay",))
    published = await travelling.process(travelling.payments, parts=("relay",))
    consuming = await travelling.process(travelling.payments, parts=("consumers",))
    for unit in (asking, published):
        await unit.prepare()
        unit.start()

    async with asking.host.work().transaction() as tx:
        tx.publish(placed(1))
    relaying.start()
    async with asyncio.timeout(DEADLINE):
        while await _pending(asking):
            await asyncio.sleep(0.01)
    assert await numbers(published) == []

    await consuming.prepare()
    await until(consuming, [1])


async def _pending(unit: Unit) -> int:
    outbox = unit.host.tables.outbox
    async with unit.host.engine.read() as connection:
        return len((await connection.execute(select(outbox.c.seq).where(outbox.c.published_at.is_(None)))).all())


# --- parked events ----------------------------------------------------------------------------------------------------


def wrapped(shop: Shop, event: Placed) -> Envelope:
    spec, now = event.__message__, shop.clock.now()
    payload = event.model_dump_json()
    return Envelope(uuid7(), spec.name, spec.version, "orders", spec.topic, event.key, now, payload)


async def parked(unit: Unit) -> int:
    async with unit.host.engine.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(unit.host.tables.parked)) or 0)


async def two_of_payments(shop: Shop) -> tuple[Unit, Unit]:
    """Two processes of a group that is shared; the test brings events to either."""
    bus = shop.bus = Shared()
    one, two = [await shop.process(shop.payments, bus=bus) for _ in range(2)]
    return one, two


class Shared(LocalBus):
    """Stands for a broker of which the test itself decides which process gets what."""


@on_brokers
@pytest.mark.parametrize("batch", [None, 50])
async def test_an_event_parks_behind_what_another_process_has_parked(
    travelling: Shop, batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who takes over has looked at what is parked a moment too early."""
    travelling.handle("pay", batch=batch)
    keys = [uuid7() for _ in range(8)]
    asking = await travelling.process(travelling.orders)
    leaving = await travelling.process(travelling.payments)
    coming = await travelling.process(travelling.payments)
    await coming.parking.load()
    await leaving.prepare()
    asking.start(timers=False)

    async with asking.host.work().transaction() as tx:
        tx.publish(*(placed(number, key, poison=True) for number, key in enumerate(keys)))
    async with asyncio.timeout(DEADLINE):
        while await parked(leaving) < len(keys):
            await asyncio.sleep(0.01)
    await leaving.quiet()
    await leaving._bus.close()
    monkeypatch.setattr(coming.parking, "load", _nothing)
    await coming.prepare()
    async with asking.host.work().transaction() as tx:
        tx.publish(*(placed(100 + number, key) for number, key in enumerate(keys)), placed(999))

    await until(coming, [999])
    async with asyncio.timeout(DEADLINE):
        while await parked(coming) < 2 * len(keys):
            assert await numbers(coming) == [999]
            await asyncio.sleep(0.01)
    travelling.curable = True
    travelling.clock.advance(seconds=5)
    await coming.parking.run_due()
    effects = (await numbers(coming))[1:]
    assert sorted(effects) == [*range(8), *range(100, 108)]
    assert all(effects.index(number) < effects.index(100 + number) for number in range(8))


async def _nothing() -> None:
    """Instead of a look."""


async def test_a_key_goes_on_at_once_when_another_process_has_retried_its_events(shop: Shop) -> None:
    shop.handle("pay")
    retrying, owning = await two_of_payments(shop)
    key = uuid7()
    await owning.group.deliver(wrapped(shop, placed(1, key, poison=True)))
    shop.curable = True
    shop.clock.advance(seconds=5)
    assert await retrying.parking.run_due() == 1
    await owning.group.deliver(wrapped(shop, placed(2, key)))
    assert await numbers(owning) == [1, 2], "without parking, and without waiting for the next look"
    assert await parked(owning) == 0


async def test_an_event_that_is_dead_meanwhile_has_no_effects_after_all(shop: Shop) -> None:
    """A process that was away for so long that another has the lease still tries what it has read."""
    shop.handle("pay", retry=Retry(times=2, first=1))
    late, other = await two_of_payments(shop)
    await late.group.deliver(wrapped(shop, placed(1, poison=True)))
    shop.clock.advance(seconds=5)
    async with late.host.engine.read() as connection:
        (row,) = (await connection.execute(select(late.host.tables.parked))).all()
    await other.parking.run_due()
    (letter,) = await other.dead_letters.list()
    shop.curable = True
    assert not await late.parking._retry(row)
    assert await numbers(late) == []
    await other.dead_letters.replay(letter.id, by="a person")
    assert await other.parking.run_due() == 1
    assert await numbers(late) == [1]


async def test_what_is_parked_while_another_look_is_under_way_is_remembered(shop: Shop) -> None:
    shop.handle("pay")
    unit, _ = await two_of_payments(shop)
    events = [wrapped(shop, placed(number, poison=True)) for number in range(20)]
    looks = [unit.parking.load() for _ in range(40)]
    await asyncio.gather(*looks[:20], *map(unit.group.deliver, events), *looks[20:])
    assert all(unit.parking.holds("pay", event.key) for event in events)


@pytest.mark.guarantee("G4")
@pytest.mark.parametrize("batch", [None, 50])
async def test_both_processes_of_a_group_that_is_torn_keep_the_order_of_a_key(shop: Shop, batch: int | None) -> None:
    """One was cut off from the broker and goes on with what it has, while the other gets the same again."""
    shop.handle("pay", batch=batch, retry=Retry(times=50, first=0.001))
    cut_off, owning = await two_of_payments(shop)
    rng, keys = random.Random(11), [uuid7() for _ in range(3)]
    events = [wrapped(shop, placed(number, keys[number % 3], poison=number % 7 == 0)) for number in range(60)]

    async def work(unit: Unit) -> None:
        taken = []
        for event in events:
            taken.append(unit.group.deliver(event))
            await asyncio.sleep(rng.choice((0, 0, 0.002)))
        await asyncio.gather(*taken)

    async def retry(unit: Unit) -> None:
        for _ in range(200):
            shop.curable = rng.random() < 0.3
            shop.clock.advance(seconds=1)
            await unit.parking.run_due()
            if await parked(unit) == 0 and working.done():
                break
            await asyncio.sleep(0.002)

    async with asyncio.timeout(DEADLINE):
        working = asyncio.gather(work(cut_off), work(owning))
        await asyncio.gather(retry(cut_off), retry(owning), working)
        await asyncio.gather(cut_off.group.close(), owning.group.close())
        shop.curable = True
        while await parked(owning):
            shop.clock.advance(seconds=60)
            await owning.parking.run_due()
    effects = await numbers(owning)
    for number in range(3):
        assert [each for each in effects if each % 3 == number] == list(range(number, 60, 3))


# --- the relay --------------------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G2")
async def test_a_relay_that_stands_by_looks_twice_a_second(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    working, standby = [await shop.process(shop.orders, parts=("relay",), bus=LocalBus()) for _ in range(2)]
    assert await working.relay.claim()
    waits: list[float] = []

    class Chance:
        @staticmethod
        def uniform(low: float, high: float) -> float:
            waits.append(high)
            return 0.0

    monkeypatch.setattr("freehold.runtime.relay.random", Chance)
    standby.start()
    async with asyncio.timeout(DEADLINE):
        while len(waits) < 12:
            await asyncio.sleep(0.01)
    assert max(waits) == 0.5


@pytest.mark.guarantee("G2")
@pytest.mark.parametrize("how", ["stops", "dies"])
async def test_another_relay_goes_on_when_one(shop: Shop, how: str) -> None:
    bus = LocalBus()
    working, standby = [await shop.process(shop.orders, parts=("relay",), bus=bus) for _ in range(2)]
    assert await working.relay.claim()
    standby.start()
    await asyncio.sleep(0.2)
    async with working.host.work().transaction() as tx:
        tx.publish(placed(1))
    if how == "stops":
        await working.quiet()
    else:
        shop.clock.advance(seconds=(TTL + timedelta(seconds=0.1)).total_seconds())
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(DEADLINE):
        while await _pending(standby):
            await asyncio.sleep(0.01)
    assert loop.time() - began < 5, "it was to look within half a second"


@pytest.mark.guarantee("G2")
async def test_a_relay_finds_what_other_processes_commit_the_sooner_the_more_there_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = await shop.process(shop.orders, parts=(), bus=LocalBus())
    relaying = await shop.process(shop.orders, parts=("relay",), bus=LocalBus())
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))

    monkeypatch.setattr(relaying.host.outbox, "wait", wait)
    relaying.start()
    for number in range(3):
        async with asyncio.timeout(DEADLINE):
            while not waits or waits[-1] < 0.5:
                await asyncio.sleep(0.01)
            async with asking.host.work().transaction() as tx:
                tx.publish(placed(number))
            while await _pending(asking):
                await asyncio.sleep(0.001)
            while waits[-1] >= 0.5:
                await asyncio.sleep(0)
    assert max(waits) == 0.5
