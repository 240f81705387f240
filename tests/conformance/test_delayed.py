"""Delayed publishing: held back until due, published once, in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from freehold import Tx
from freehold.runtime import delayed
from freehold.runtime.delayed import Delayed
from freehold.runtime.host import Host
from freehold.testing import Crash, ManualClock, crash_at
from tests.conformance.ledger import Noted, ledger, process
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def publish(host: Host, *numbers: int, after: float) -> None:
    async with host.work().transaction() as tx:
        for number in numbers:
            tx.publish(Noted(page="a", number=number), after=timedelta(seconds=after))


async def in_outbox(host: Host) -> list[int]:
    table = host.tables.outbox
    async with host.engine.read() as connection:
        rows = await connection.scalars(select(table.c.payload).order_by(table.c.seq))
        return [Noted.model_validate_json(row).number for row in rows]


async def left(host: Host) -> int:
    async with host.engine.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(host.tables.delayed))).scalar_one())


async def test_it_is_held_back_until_it_is_due(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, ledger(), clock)
    await publish(host, 3, after=30)
    await publish(host, 1, 2, after=10)
    assert await Delayed(host).run_due() == 0
    clock.advance(seconds=10)
    assert await Delayed(host).run_due() == 2
    assert await in_outbox(host) == [1, 2]
    clock.advance(seconds=20)
    assert await Delayed(host).run_due() == 1
    assert await in_outbox(host) == [1, 2, 3]
    assert await left(host) == 0


async def test_it_wakes_the_relay_and_carries_everything(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, ledger(), clock)
    await publish(host, 1, after=10)
    clock.advance(seconds=10)
    await Delayed(host).run_due()
    await asyncio.wait_for(host.outbox.wait(60), 5)
    table = host.tables.outbox
    async with host.engine.read() as connection:
        row = (await connection.execute(select(table))).one()
    assert (row.event_type, row.version, row.topic, row.partition_key) == ("note.made", 1, "notes", "a")
    assert (row.aggregate_type, row.aggregate_id, row.created_at) == ("note", "a", clock.now())


async def test_a_rolled_back_transaction_delays_nothing(databases: Databases, clock: ManualClock) -> None:
    host = await process(databases, ledger(), clock)

    async def fail(tx: Tx) -> None:
        tx.publish(Noted(page="a", number=1), after=timedelta(seconds=1))
        await tx.flush()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await host.work().run(fail)
    assert await left(host) == 0


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
async def test_a_crash_neither_loses_nor_doubles(databases: Databases, clock: ManualClock, point: str) -> None:
    host = await process(databases, ledger(), clock)
    await publish(host, 1, 2, after=1)
    clock.advance(seconds=1)
    with crash_at(point), pytest.raises(Crash):
        await Delayed(host).run_due()
    await Delayed(host).run_due()
    assert await in_outbox(host) == [1, 2]


async def test_several_processes_move_each_once_and_in_order(
    databases: Databases, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed, "STEP", 7)
    service = ledger()
    hosts = [await process(databases, service, clock) for _ in range(3)]
    for number in range(100):
        await publish(hosts[0], number, after=1)
    clock.advance(seconds=1)
    async with asyncio.timeout(30):
        while await left(hosts[0]):
            await asyncio.gather(*(Delayed(host).run_due() for host in hosts))
    assert await in_outbox(hosts[0]) == list(range(100))
