"""A small system for the suites of this folder: orders publishes, payments and stock consume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Portable, Retry, Service, System, Tx, uuid7
from freehold.buses.local import LocalBus
from freehold.deploy.unit import Unit
from freehold.runtime.host import Host
from freehold.runtime.relay import RelaySettings
from freehold.testing import ManualClock
from tests.databases import Databases

DEADLINE = 30.0


class Placed(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID
    number: int
    poison: bool = False


class OrdersBase(Portable, DeclarativeBase):
    pass


class Order(OrdersBase):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=0)


class PaymentsBase(Portable, DeclarativeBase):
    pass


class Seen(PaymentsBase):
    """One row for each effect of a handler: doubled effects are doubled rows."""

    __tablename__ = "seen"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    handler: Mapped[str]
    key: Mapped[UUID]
    number: Mapped[int]


class StockBase(Portable, DeclarativeBase):
    pass


class Taken(StockBase):
    __tablename__ = "taken"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    number: Mapped[int]


class Shop:
    """The services of one test with their units, on fresh databases."""

    def __init__(self, databases: Databases, clock: ManualClock) -> None:
        self.databases = databases
        self.clock = clock
        self.bus = LocalBus()
        self.curable = False
        self.failures: list[int] = []
        self.orders = Service("orders", tables=OrdersBase, publishes=[Placed])
        self.payments = Service("payments", tables=PaymentsBase)
        self.stock = Service("stock", tables=StockBase)
        self.system = System("shop", services=[self.orders, self.payments, self.stock])
        self.units: dict[str, Unit] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def handle(
        self, name: str, *, batch: int | None = None, before: Callable[..., Awaitable[None]] | None = None, **how: Any
    ) -> None:
        """Let payments write a row of `Seen` for each event; poison ones fail until `curable`."""

        async def one(event: Placed, tx: Tx) -> None:
            if before is not None:
                await before(event, tx)
            await tx.execute(insert(Seen).values(handler=name, key=event.order_id, number=event.number))
            if event.poison and not self.curable:
                self.failures.append(event.number)
                raise RuntimeError("poison")

        async def many(events: list[Placed], tx: Tx) -> None:
            for event in events:
                await one(event, tx)

        how.setdefault("retry", Retry(times=3, first=1))
        self.payments.on(Placed, name=name, batch=batch, **how)(many if batch else one)

    async def add(self, service: Service, **settings: Any) -> Unit:
        engine = await self.databases.open(service.name)
        host = Host(self.system, service, engine, clock=self.clock)
        await host.create_tables()
        unit = Unit(host, self.bus, relay=RelaySettings(**settings))
        self.units[service.name] = unit
        return unit

    async def start(self) -> None:
        """Run payments and orders, the relay of orders included."""
        for service in (self.payments, self.orders):
            unit = self.units.get(service.name) or await self.add(service)
            await unit.prepare()
            unit.start(timers=False)

    async def publish(self, *events: Placed) -> None:
        async with self.units["orders"].host.work().transaction() as tx:
            tx.publish(*events)

    async def settle(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.units["orders"].host.outbox.until_drained()

    async def retry(self, **parts: float) -> None:
        """Move the clock and retry what is parked."""
        self.clock.advance(**parts)
        await self.units["payments"].parking.run_due()

    async def seen(self, handler: str | None = None) -> list[int]:
        """The numbers of the events that had their effect, in the order of the effects."""
        statement = select(Seen.number).order_by(Seen.id)
        if handler is not None:
            statement = statement.where(Seen.handler == handler)
        async with self.units["payments"].host.engine.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def count(self, service: str, table: Any) -> int:
        async with self.units[service].host.engine.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())

    async def stop(self) -> None:
        for unit in self.units.values():
            await unit.stop()


@asynccontextmanager
async def open_shop(databases: Databases) -> AsyncIterator[Shop]:
    shop = Shop(databases, ManualClock())
    try:
        yield shop
    finally:
        await shop.stop()


def placed(number: int, key: UUID | None = None, *, poison: bool = False) -> Placed:
    return Placed(order_id=key or uuid7(), number=number, poison=poison)
