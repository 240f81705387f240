"""A small system for the suites of this folder: orders publishes, payments and stock consume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Portable, Retry, Service, System, Tx, uuid7
from freehold.deploy.unit import PARTS, Unit
from freehold.model.envelope import Envelope
from freehold.model.ports import Bus, Deliver
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from freehold.runtime.relay import RelaySettings
from freehold.testing import ManualClock
from tests.buses import Buses, system
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


class Watched:
    """A bus that knows when everything that was published has been dealt with by every group of this process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._taken: list[tuple[str, frozenset[str]]] = []
        self._expected = self._ended = 0
        self._moved = asyncio.Event()

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        answers = await self._bus.publish(events)
        for event, answer in zip(events, answers, strict=True):
            answer.add_done_callback(lambda done, kind=event.type: self._published(kind, done))
        return answers

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        def watch(event: Envelope) -> asyncio.Future[None]:
            ended = deliver(event)
            ended.add_done_callback(self._delivered)
            return ended

        self._taken.append((group, frozenset(events)))
        await self._bus.subscribe(group, events, topics, watch)

    async def ping(self) -> None:
        await self._bus.ping()

    async def close(self) -> None:
        await self._bus.close()

    async def until_delivered(self) -> None:
        while self._ended < self._expected:
            self._moved.clear()
            await self._moved.wait()

    def _published(self, kind: str, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._expected += sum(kind in kinds for _, kinds in self._taken)

    def _delivered(self, ended: asyncio.Future[None]) -> None:
        self._ended += 1
        self._moved.set()


class Shop:
    """The services of one test with their units, on fresh databases and a bus of this kind."""

    def __init__(self, databases: Databases, clock: ManualClock, bus_kind: str = "local") -> None:
        self.databases = databases
        self.clock = clock
        self._bus_kind = bus_kind
        self._buses: Buses | None = None
        self._bus: Bus | None = None
        self.curable = False
        self.failures: list[int] = []
        self.orders = Service("orders", tables=OrdersBase, publishes=[Placed])
        self.payments = Service("payments", tables=PaymentsBase)
        self.stock = Service("stock", tables=StockBase)
        self.system = System("shop", services=[self.orders, self.payments, self.stock])
        self.units: dict[str, Unit] = {}
        self.processes: list[Unit] = []

    @property
    def bus(self) -> Bus:
        """Opened when it is first used, when every handler is declared."""
        if self._bus is None:
            self._bus = Watched(self.buses.open())
        return self._bus

    @bus.setter
    def bus(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def buses(self) -> Buses:
        if self._buses is None:
            self._buses = Buses(self._bus_kind, replace(Topology.of(self.system, partitions=4), system=system().system))
        return self._buses

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

    async def process(
        self, service: Service, *, parts: Collection[str] = PARTS, bus: Bus | None = None, **settings: Any
    ) -> Unit:
        """One process more of the service, with connections of its own; it ends with the test."""
        engine = await self.databases.open(service.name)
        host = Host(self.system, service, engine, clock=self.clock)
        await host.create_tables()
        unit = Unit(host, bus or self.buses.open(), relay=RelaySettings(**settings), parts=parts)
        self.processes.append(unit)
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
            if isinstance(self._bus, Watched):
                await self._bus.until_delivered()

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
        for unit in (*self.units.values(), *self.processes):
            await unit.stop()
        if self._buses is not None:
            await self._buses.close()


@asynccontextmanager
async def open_shop(databases: Databases, bus_kind: str = "local") -> AsyncIterator[Shop]:
    shop = Shop(databases, ManualClock(), bus_kind)
    try:
        yield shop
    finally:
        await shop.stop()


def placed(number: int, key: UUID | None = None, *, poison: bool = False) -> Placed:
    return Placed(order_id=key or uuid7(), number=number, poison=poison)
