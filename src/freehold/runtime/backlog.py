"""What waits in a service's database: measured for metrics and health, at a cost that does not grow with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.observe.metrics import METRICS
from freehold.runtime.host import Host

LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts stop at `LIMIT`, which then means that many or more; `oldest_seconds` is 0 when nothing is pending.

    `views` says by view how old the oldest event is that reached the service and waits because the view could not take
    it yet; 0 where nothing waits. That grows for as long as something is wrong, and is 0 for a view that merely hears
    nothing new. An event that was given up is a dead letter, and counted there.
    """

    pending: int
    oldest_seconds: float
    parked: int
    dead: dict[str, int]
    views: dict[str, float] = field(default_factory=dict)


async def measure(host: Host) -> Backlog:
    """Look, and set the gauges. For each scrape of `/metrics`, at most every few seconds."""
    outbox, dead = host.tables.outbox, host.tables.dead_letters
    pending = outbox.c.published_at.is_(None) & outbox.c.dead_at.is_(None)
    first = select(outbox.c.created_at).where(pending).order_by(outbox.c.seq).limit(1)
    async with host.engine.read() as connection:
        backlog = Backlog(
            pending=await _count(connection, outbox, pending),
            oldest_seconds=_age(host, await connection.scalar(first)),
            parked=await _count(connection, host.tables.parked),
            dead={
                direction: await _count(connection, dead, dead.c.status == "dead", dead.c.direction == direction)
                for direction in ("publish", "consume")
            },
            views=await _views(connection, host),
        )
    METRICS.backlog(
        host.service.name,
        pending=backlog.pending,
        oldest_seconds=backlog.oldest_seconds,
        parked=backlog.parked,
        dead=backlog.dead,
    )
    for view, seconds in backlog.views.items():
        METRICS.view_lag(host.service.name, view, seconds)
    return backlog


async def _views(connection: AsyncConnection, host: Host) -> dict[str, float]:
    consumers = {f"view.{view.name}": view.name for view in host.service.views}
    if not consumers:
        return {}
    parked = host.tables.parked
    waiting = select(parked.c.consumer_name, func.min(parked.c.event_time)).where(parked.c.consumer_name.in_(consumers))
    oldest = dict((await connection.execute(waiting.group_by(parked.c.consumer_name))).all())
    return {view: _age(host, oldest.get(consumer)) for consumer, view in consumers.items()}


def _age(host: Host, moment: datetime | None) -> float:
    return 0.0 if moment is None else max((host.clock.now() - moment).total_seconds(), 0.0)


async def _count(connection: AsyncConnection, table: Table, *conditions: ColumnElement[bool]) -> int:
    """Up to the limit and no further."""
    some = select(*table.primary_key).where(*conditions).limit(LIMIT).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
