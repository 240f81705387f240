"""What waits in a service's database: measured for metrics and health, at a cost that does not grow with it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.observe.metrics import METRICS
from freehold.runtime.host import Host

LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts stop at `LIMIT`, which then means that many or more; `oldest_seconds` is 0 when nothing is pending."""

    pending: int
    oldest_seconds: float
    parked: int
    dead: dict[str, int]


async def measure(host: Host) -> Backlog:
    """Look, and set the gauges. For each scrape of `/metrics`, at most every few seconds."""
    outbox, dead = host.tables.outbox, host.tables.dead_letters
    pending = outbox.c.published_at.is_(None) & outbox.c.dead_at.is_(None)
    first = select(outbox.c.created_at).where(pending).order_by(outbox.c.seq).limit(1)
    async with host.engine.read() as connection:
        oldest = await connection.scalar(first)
        backlog = Backlog(
            pending=await _count(connection, outbox, pending),
            oldest_seconds=max((host.clock.now() - oldest).total_seconds(), 0.0) if oldest is not None else 0.0,
            parked=await _count(connection, host.tables.parked),
            dead={
                direction: await _count(connection, dead, dead.c.status == "dead", dead.c.direction == direction)
                for direction in ("publish", "consume")
            },
        )
    METRICS.backlog(
        host.service.name,
        pending=backlog.pending,
        oldest_seconds=backlog.oldest_seconds,
        parked=backlog.parked,
        dead=backlog.dead,
    )
    return backlog


async def _count(connection: AsyncConnection, table: Table, *conditions: ColumnElement[bool]) -> int:
    """Up to the limit and no further."""
    some = select(*table.primary_key).where(*conditions).limit(LIMIT).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
