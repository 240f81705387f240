"""The smallest system that can be measured: orders publishes, payments writes one row for each event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import BulkInsert, Event, Money, Portable, Service, System, Tx
from freehold.buses.local import LocalBus
from freehold.deploy.unit import Unit
from freehold.engines import open_engine
from freehold.model.ports import Bus
from freehold.runtime.host import Host


class OrdersBase(Portable, DeclarativeBase):
    """Tables of orders."""


class Order(OrdersBase):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    total: Mapped[Money]


class PaymentsBase(Portable, DeclarativeBase):
    """Tables of payments."""


class Payment(PaymentsBase):
    __tablename__ = "payments"
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    amount: Mapped[Money]


class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID
    total: Money


ADDED = insert(Payment)
ADDED_TOGETHER = BulkInsert(PaymentsBase.metadata.tables["payments"], ["order_id", "amount"])
TOTAL = Decimal("99.90")


async def record(event: OrderPlaced, tx: Tx) -> None:
    """One row for one event."""
    await tx.execute(ADDED, {"order_id": event.order_id, "amount": event.total})


async def record_many(events: list[OrderPlaced], tx: Tx) -> None:
    """The rows of many events in one statement."""
    rows = [{"order_id": event.order_id, "amount": event.total} for event in events]
    await ADDED_TOGETHER(await tx.connection(), rows)


def shop(name: str = "shop", *, batch: int | None = None) -> System:
    """The system; `batch` hands payments so many events at once."""
    orders = Service("orders", tables=OrdersBase, publishes=[OrderPlaced])
    payments = Service("payments", tables=PaymentsBase)
    if batch is None:
        payments.on(OrderPlaced)(record)
    else:
        payments.on(OrderPlaced, batch=batch)(record_many)
    return System(name, [orders, payments])


@asynccontextmanager
async def running(
    system: System, urls: Mapping[str, str], *, bus: Bus | None = None, start: bool = True
) -> AsyncIterator[dict[str, Unit]]:
    """The system's services in this process, on the local bus if on no other; without `start` no relay works yet."""
    bus = bus or LocalBus()
    units = {s.name: Unit(Host(system, s, open_engine(urls[s.name])), bus) for s in system.services}
    try:
        for unit in units.values():
            await unit.host.create_tables()
            await unit.prepare()
        if start:
            for unit in units.values():
                unit.start()
        yield units
    finally:
        for unit in units.values():
            await unit.quiet()
        await bus.close()
        for unit in units.values():
            await unit.host.close()
