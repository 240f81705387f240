"""faststream-outbox with many workers, large fetches and batched deletes, and a handler that deduplicates."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from faststream_outbox import OutboxBroker, make_outbox_table
from pydantic import BaseModel
from sqlalchemy import Column, DateTime, MetaData, Numeric, String, Table, Uuid, func, make_url, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

WORKERS = 16
FETCHED = 500
FLUSHED = 50
PUBLISHED_TOGETHER = 500

metadata = MetaData()
outbox = make_outbox_table(metadata, table_name="outbox")
consumed = Table(
    "consumed_messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("consumer_name", String(200), primary_key=True),
    Column("consumed_at", DateTime(timezone=True), nullable=False, index=True),
)
payments = Table(
    "payments", metadata, Column("order_id", Uuid, primary_key=True), Column("amount", Numeric(12, 2), nullable=False)
)


class OrderPlaced(BaseModel):
    """The event, with the id that the handler deduplicates by."""

    event_id: UUID
    order_id: UUID
    total: Decimal


async def drain(url: str, events: int) -> dict[str, float]:
    """Fill the outbox, then time until every event is handled and its row deleted."""
    logging.getLogger("faststream").setLevel(logging.ERROR)
    address = make_url(url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, pool_size=2 * WORKERS + 4, max_overflow=0)
    broker = OutboxBroker(engine, outbox_table=outbox, logger=None)
    mark = insert(consumed).on_conflict_do_nothing().returning(consumed.c.message_id)
    handled, done = 0, asyncio.Event()

    @broker.subscriber(
        "orders", max_workers=WORKERS, fetch_batch_size=FETCHED, min_fetch_interval=0.01, max_fetch_interval=0.5,
        terminal_flush_batch_size=FLUSHED,
    )  # fmt: skip
    async def record(event: OrderPlaced) -> None:
        nonlocal handled
        async with engine.begin() as connection:
            new = await connection.execute(
                mark, {"message_id": event.event_id, "consumer_name": "record", "consumed_at": datetime.now(UTC)}
            )
            if new.first() is not None:
                await connection.execute(payments.insert(), {"order_id": event.order_id, "amount": event.total})
        handled += 1
        if handled >= events:
            done.set()

    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    for _ in range(events // PUBLISHED_TOGETHER):
        async with engine.begin() as connection:
            await broker.publish_batch(
                *(_event() for _ in range(PUBLISHED_TOGETHER)), queue="orders", session=connection
            )
    began, cpu = time.perf_counter(), time.process_time()
    await broker.start()
    await done.wait()
    while True:
        async with engine.connect() as connection:
            if not await connection.scalar(select(func.count()).select_from(outbox)):
                break
        await asyncio.sleep(0.005)
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(payments)) == events, "an event is missing"
    await broker.stop()
    await engine.dispose()
    return {"rate": events / seconds, "cpu_us": busy / events * 1e6}


def _event() -> dict[str, Any]:
    return {"event_id": str(uuid4()), "order_id": str(uuid4()), "total": "99.90"}
