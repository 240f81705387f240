"""The smallest system that can be measured: orders publishes, payments writes one row for each event."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Money, Portable, Service, System, Tx


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


async def record(event: OrderPlaced, tx: Tx) -> None:
    """One row for one event."""
    await tx.execute(ADDED, {"order_id": event.order_id, "amount": event.total})


async def record_many(events: list[OrderPlaced], tx: Tx) -> None:
    """The rows of many events in one statement."""
    await tx.execute(ADDED, [{"order_id": event.order_id, "amount": event.total} for event in events])


def shop(*, batch: int | None = None) -> System:
    """The system; `batch` hands payments so many events at once."""
    orders = Service("orders", tables=OrdersBase, publishes=[OrderPlaced])
    payments = Service("payments", tables=PaymentsBase)
    if batch is None:
        payments.on(OrderPlaced)(record)
    else:
        payments.on(OrderPlaced, batch=batch)(record_many)
    return System("shop", [orders, payments])


TOTAL = Decimal("99.90")
