"""What somebody writes by hand: publish with confirms, write one row for each message in a transaction, acknowledge."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]
from pydantic import BaseModel
from sqlalchemy import Column, DateTime, MetaData, Numeric, String, Table, Uuid, make_url
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

WORKERS = 16
BATCH = 500
WARM_UP = 64
OUTBOX = """
CREATE TABLE outbox (seq bigserial PRIMARY KEY, event_id uuid NOT NULL UNIQUE, key text NOT NULL, payload text NOT NULL,
                     published_at timestamptz);
CREATE INDEX pending ON outbox (seq) WHERE published_at IS NULL;
"""
FILL = "INSERT INTO outbox (event_id, key, payload) VALUES ($1, $2, $3)"
CLAIM = f"SELECT event_id, key, payload FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT {BATCH}"
MARK = "UPDATE outbox SET published_at = now() WHERE event_id = ANY($1)"

metadata = MetaData()
consumed = Table(
    "consumed", metadata, Column("event_id", Uuid, primary_key=True), Column("consumer", String(200), primary_key=True),
    Column("consumed_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip
payments = Table(
    "payments", metadata, Column("order_id", Uuid, primary_key=True), Column("amount", Numeric(12, 2), nullable=False)
)

Message = tuple[str, str]
"""A key and a JSON text."""
Handle = Callable[[bytes], Awaitable[None]]


class Broker(Protocol):
    """A broker's client, as it is used by hand."""

    async def open(self) -> None: ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has all of them."""
        ...

    async def consume(self, handle: Handle, workers: int) -> None:
        """Handle messages until it is stopped, so many at once, and acknowledge them."""
        ...

    def stop(self) -> None: ...

    async def close(self) -> None: ...


class OrderPlaced(BaseModel):
    """The event, with the id that an inbox knows it by."""

    event_id: UUID
    order_id: UUID
    total: Decimal


class Effect(Protocol):
    """What a message does."""

    async def __call__(self, event: OrderPlaced) -> None: ...


async def nothing(event: OrderPlaced) -> None:
    """No database."""


def by_sqlalchemy(database: str, *, inbox: bool) -> Effect:
    """A row by SQLAlchemy Core, in a transaction with the inbox if there is one."""
    address = make_url(database).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, pool_size=WORKERS, max_overflow=0)
    mark, record = insert(consumed).on_conflict_do_nothing().returning(consumed.c.event_id), payments.insert()

    async def write(event: OrderPlaced) -> None:
        async with engine.begin() as connection:
            if inbox:
                row = {"event_id": event.event_id, "consumer": "record", "consumed_at": datetime.now(UTC)}
                if (await connection.execute(mark, row)).first() is None:
                    return
            await connection.execute(record, {"order_id": event.order_id, "amount": event.total})

    return write


def by_asyncpg(pool: Any) -> Effect:
    """A row by the driver alone, in a transaction with the inbox."""
    mark = "INSERT INTO consumed VALUES ($1, 'record', now()) ON CONFLICT DO NOTHING RETURNING event_id"
    record = "INSERT INTO payments VALUES ($1, $2)"

    async def write(event: OrderPlaced) -> None:
        async with pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(mark, event.event_id):
                await connection.execute(record, event.order_id, event.total)

    return write


async def drain(broker: str, address: str, name: str, database: str, events: int, variant: str) -> dict[str, float]:
    """Time until so many messages are published and handled; the consumer has its place at the broker before.

    Args:
        broker: `kafka` or `rabbitmq`.
        address: where it is.
        name: of the topic or queue.
        database: PostgreSQL.
        events: how many.
        variant: `kept`, what the toolkit promises: messages come out of an outbox, which is marked when the broker has
            them, and an inbox knows what came before; `asyncpg`, the same without SQLAlchemy; `rows`, no outbox and no
            inbox; `nothing`, no database.
    """
    client: Broker = importlib.import_module(f"benchmarks.baselines.{broker}_loop").open(address, name)
    async with asyncpg.create_pool(database, min_size=WORKERS, max_size=WORKERS) as pool:
        await pool.execute(OUTBOX)
        engine = create_async_engine(make_url(database).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        effects = {
            "kept": by_sqlalchemy(database, inbox=True), "asyncpg": by_asyncpg(pool),
            "rows": by_sqlalchemy(database, inbox=False), "nothing": nothing,
        }  # fmt: skip
        outbox = pool if variant in ("kept", "asyncpg") else None
        await client.open()
        loop = Loop(client, effects[variant], outbox)
        consuming = asyncio.create_task(client.consume(loop.handle, WORKERS))
        await loop.drain(WARM_UP)
        seconds, busy = await loop.drain(events)
        if variant != "nothing":
            assert await pool.fetchval("SELECT count(*) FROM payments") == events + WARM_UP, "a message is missing"
        client.stop()
        await consuming
        await client.close()
    return {"rate": events / seconds, "cpu_us": busy / events * 1e6}


class Loop:
    """Publisher and consumer of one process.

    Args:
        broker: its client.
        effect: of each message.
        outbox: the pool of a database with one; None: messages come from nowhere.
    """

    def __init__(self, broker: Broker, effect: Effect, outbox: Any | None) -> None:
        self._broker = broker
        self._effect = effect
        self._outbox = outbox
        self._handled = 0
        self._wanted = 0
        self._done = asyncio.Event()

    async def handle(self, body: bytes) -> None:
        await self._effect(OrderPlaced.model_validate_json(body))
        self._handled += 1
        if self._handled >= self._wanted:
            self._done.set()

    async def drain(self, events: int) -> tuple[float, float]:
        """Seconds, and seconds of CPU, until so many more are published and handled."""
        messages = [_message() for _ in range(events)]
        if self._outbox is not None:
            await self._outbox.executemany(FILL, [(UUID(key), key, payload) for key, payload in messages])
        self._wanted = self._handled + events
        self._done.clear()
        began, cpu = time.perf_counter(), time.process_time()
        await self._publish(messages)
        await self._done.wait()
        return time.perf_counter() - began, time.process_time() - cpu

    async def _publish(self, messages: Sequence[Message]) -> None:
        if self._outbox is None:
            await self._broker.publish(messages)
            return
        while rows := await self._outbox.fetch(CLAIM):
            await self._broker.publish([(key, payload) for _, key, payload in rows])
            await self._outbox.execute(MARK, [event_id for event_id, *_ in rows])


def _message() -> Message:
    event = OrderPlaced(event_id=uuid4(), order_id=uuid4(), total=Decimal("99.90"))
    return str(event.event_id), event.model_dump_json()
