"""Outbox rows that somebody wrote by hand and nobody can read: they die, so that all the others go on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, false, literal, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.ids import uuid7
from freehold.runtime.host import Host
from freehold.runtime.lease import Lease

log = logging.getLogger(__name__)


async def set_aside(host: Host, lease: Lease, statement: Select[Any], values: dict[str, int]) -> int:
    """Read what the statement selects row by row; those that cannot be read become dead letters. How many.

    Args:
        host: whose outbox it is.
        lease: of the relay, without which nothing is changed.
        statement: selects outbox rows.
        values: its parameters.
    """
    outbox = host.tables.outbox
    dead = 0
    async with host.engine.write() as connection:
        numbers = list(await connection.scalars(statement.with_only_columns(outbox.c.seq), values))
        for seq in numbers:
            columns: Sequence[Any] = statement.exported_columns.values()
            problem = await _problem(connection, select(*columns).where(outbox.c.seq == seq))
            if problem is not None:
                dead += await _bury(host, lease, connection, seq, problem)
    return dead


async def _problem(connection: AsyncConnection, statement: Select[Any]) -> str | None:
    try:
        row = (await connection.execute(statement)).one_or_none()
    except (ValueError, TypeError) as error:
        return f"the row cannot be read: {type(error).__name__}: {error}"
    if row is not None and not isinstance(row.headers, dict):
        return f"the row cannot be read: its headers are no object but {type(row.headers).__name__}"
    return None


async def _bury(host: Host, lease: Lease, connection: AsyncConnection, seq: int, problem: str) -> int:
    outbox, letters, now = host.tables.outbox, host.tables.dead_letters, host.clock.now()
    mine = (outbox.c.seq == seq) & lease.fence()
    done = await connection.execute(update(outbox).where(mine).values(dead_at=now, last_error=problem))
    if not done.rowcount:
        return 0
    log.error("%s: row %d of the outbox is dead: %s", host.service.name, seq, problem)
    copied = ("event_id", "event_type", "version", "topic", "partition_key", "payload", "retry_count")
    given = {
        "id": literal(uuid7(), letters.c.id.type), "direction": literal("publish"), "consumer_name": null(),
        "source": literal(host.service.name), "headers": literal({}, letters.c.headers.type),
        "event_time": literal(now, letters.c.event_time.type), "died_at": literal(now, letters.c.died_at.type),
        "error": literal(problem), "held": false(), "status": literal("dead"),
    }  # fmt: skip
    row = select(*(outbox.c[name] for name in copied), *given.values()).where(outbox.c.seq == seq)
    await connection.execute(letters.insert().from_select([*copied, *given], row))
    return 1
