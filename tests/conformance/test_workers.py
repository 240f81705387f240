"""Several processes of one service: what they share, what each has for itself, and who takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from freehold.deploy.unit import Unit
from tests.buses import having
from tests.conformance.shop import DEADLINE, Seen, Shop, open_shop, placed
from tests.databases import Databases

on_brokers = pytest.mark.parametrize("bus_kind", having("shares"), indirect=True)


@pytest.fixture
async def shop(databases: Databases, bus_kind: str) -> AsyncIterator[Shop]:
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


@on_brokers
async def test_each_part_works_in_a_process_of_its_own(shop: Shop) -> None:
    shop.handle("pay")
    asking = await shop.process(shop.orders, parts=())
    relaying = await shop.process(shop.orders, parts=("relay",))
    published = await shop.process(shop.payments, parts=("relay",))
    consuming = await shop.process(shop.payments, parts=("consumers",))
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
