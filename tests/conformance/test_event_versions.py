"""Events of former and of later versions, wherever they were kept in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from freehold import Event, Retry, Service, System, Tx, uuid7
from freehold.buses.local import LocalBus
from freehold.deploy.unit import Unit
from freehold.model.envelope import Envelope
from freehold.runtime.host import Host
from freehold.testing import ManualClock
from tests.databases import Databases


class OrderV1(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID
    baht: int


class OrderV2(Event, name="order.placed", topic="orders", key="order_id", version=2):
    order_id: UUID
    amount: str


@OrderV2.upcast(1)
def with_currency(data: dict[str, Any]) -> dict[str, Any]:
    return {"order_id": data["order_id"], "amount": f"{data['baht']} THB"}


class Process:
    """A consumer as one version of it is deployed, on its database."""

    def __init__(self, event: type[Event], databases: Databases, clock: ManualClock) -> None:
        self.event, self.databases, self.clock = event, databases, clock
        self.seen: list[Any] = []
        self.broken = False

    async def start(self) -> Unit:
        shipping = Service("shipping", publishes=[self.event])

        @shipping.on(self.event, name="ship", retry=Retry(times=2, first=1))
        async def ship(event: Any, tx: Tx) -> None:
            if self.broken:
                raise RuntimeError("the carrier is away")
            self.seen.append(event)

        host = Host(
            System("shop", services=[shipping]), shipping, await self.databases.open("shipping"), clock=self.clock
        )
        await host.create_tables()
        unit = Unit(host, LocalBus())
        await unit.prepare()
        return unit


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2025, 1, 1, tzinfo=UTC))


def sent(event: Event) -> Envelope:
    spec = event.__message__
    return Envelope(uuid7(), spec.name, spec.version, "shop", spec.topic, event.key, datetime(2025, 1, 1, tzinfo=UTC),
                    event.model_dump_json())  # fmt: skip


@pytest.mark.guarantee("G2")
async def test_an_old_event_is_read_wherever_it_was_kept(databases: Databases, clock: ManualClock) -> None:
    """Parked, dead and delayed by the version before; retried, replayed and sent by the one that is deployed now."""
    old = Process(OrderV1, databases, clock)
    unit, old.broken = await old.start(), True
    parked, dead, delayed = (OrderV1(order_id=uuid7(), baht=baht) for baht in (1, 2, 3))
    await unit.group.deliver(sent(dead))
    clock.advance(seconds=2)
    await unit.parking.run_due()
    await unit.group.deliver(sent(parked))
    async with unit.host.work().transaction() as tx:
        tx.publish(delayed, after=timedelta(seconds=1))
    (letter,) = await unit.dead_letters.list()
    await unit.stop()

    new = Process(OrderV2, databases, clock)
    unit = await new.start()
    clock.advance(seconds=5)
    await unit.parking.run_due()
    await unit.dead_letters.replay(letter.id, by="operator")
    await unit.parking.run_due()
    unit.start(timers=False)
    await unit.run_due()
    await unit.host.outbox.until_drained()
    assert [event.amount for event in new.seen] == ["1 THB", "2 THB", "3 THB"]
    await unit.stop()


@pytest.mark.guarantee("G5")
async def test_a_newer_event_waits_for_a_process_that_knows_it(databases: Databases, clock: ManualClock) -> None:
    """It costs no retry however long the roll-out takes, and later events of its key wait behind it."""
    old, newer = Process(OrderV1, databases, clock), OrderV2(order_id=uuid7(), amount="7 EUR")
    unit = await old.start()
    await unit.group.deliver(sent(newer))
    await unit.group.deliver(sent(OrderV1(order_id=newer.order_id, baht=8)))
    for _ in range(10):
        clock.advance(seconds=60)
        await unit.parking.run_due()
    assert old.seen == []
    assert await unit.dead_letters.list() == []
    parked = unit.host.tables.parked
    async with unit.host.engine.read() as connection:
        kept = (
            await connection.execute(select(parked.c.retry_count, parked.c.last_error).order_by(parked.c.position))
        ).all()
    assert [row.retry_count for row in kept] == [0, 0]
    assert "order.placed is of version 2, and this process knows 1 at most" in kept[0].last_error
    await unit.stop()

    new = Process(OrderV2, databases, clock)
    unit = await new.start()
    clock.advance(seconds=60)
    await unit.parking.run_due()
    assert [event.amount for event in new.seen] == ["7 EUR", "8 THB"]
    await unit.stop()
