"""An ordinary route with an insert and an outbox row in one transaction, hand-written with FastAPI and SQLAlchemy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import DateTime, Identity, Index, Numeric, String, make_url
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The service's tables."""


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    total: Mapped[Decimal] = mapped_column(Numeric(12, 2))


class OutboxEvent(Base):
    __tablename__ = "outbox_events"
    __table_args__ = (Index("ix_outbox_pending", "seq", postgresql_where="published_at IS NULL"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    seq: Mapped[int] = mapped_column(Identity())
    event_type: Mapped[str] = mapped_column(String(200))
    topic: Mapped[str] = mapped_column(String(200))
    partition_key: Mapped[str] = mapped_column(String(255))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PlaceOrder(BaseModel):
    user_id: UUID
    total: Decimal


class OrderOut(BaseModel):
    id: UUID
    user_id: UUID
    total: Decimal


@asynccontextmanager
async def app(url: str) -> AsyncIterator[FastAPI]:
    """The service on a fresh database."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), pool_size=5, max_overflow=5)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions.begin() as opened:
            yield opened

    service = FastAPI()

    @service.post("/api/v1/orders", status_code=201)
    async def place(body: PlaceOrder, session: Annotated[AsyncSession, Depends(session, scope="function")]) -> OrderOut:
        order = Order(id=uuid4(), user_id=body.user_id, total=body.total)
        payload = {"order_id": str(order.id), "total": str(order.total)}
        session.add_all(
            [
                order,
                OutboxEvent(
                    event_type="order.placed", topic="orders", partition_key=str(order.id), payload=payload,
                    created_at=datetime.now(UTC),
                ),
            ]
        )  # fmt: skip
        return OrderOut(id=order.id, user_id=order.user_id, total=order.total)

    yield service
    await engine.dispose()
