"""Events and commands that were published with `after`: they lie beside the outbox until they are due."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, select

from freehold.model.ids import uuid7
from freehold.runtime.host import Host
from freehold.runtime.outbox import OutboxRow
from freehold.runtime.transaction import Tx

STEP = 500


class Delayed:
    """Moves due messages of one service into its outbox. Any process may; one at a time does, to keep their order."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.tables.delayed

    async def run_due(self) -> int:
        """Move whatever is due, the earliest first, and wake the relay; how many.

        A message is in one of the two tables at any moment. It gets its id and time when it moves.
        """
        moved = 0
        while await self._any_due():
            step = await self._host.work().run(self._move)
            moved += step
            if step < STEP:
                break
        return moved

    async def _any_due(self) -> bool:
        """A look that costs no write transaction."""
        due = select(self._table.c.position).where(self._table.c.due_at <= self._host.clock.now()).limit(1)
        async with self._host.engine.read() as connection:
            return await connection.scalar(due) is not None

    async def _move(self, tx: Tx) -> int:
        table, connection = self._table, await tx.connection()
        if not await self._host.engine.try_lock(connection, "delayed_events"):
            return 0
        due = select(table).where(table.c.due_at <= tx.now()).order_by(table.c.due_at, table.c.position).limit(STEP)
        rows = (await connection.execute(due)).all()
        if rows:
            await self._host.outbox.write(connection, [self._outbox_row(row, tx) for row in rows])
            await connection.execute(delete(table).where(table.c.position.in_([row.position for row in rows])))
            tx.on_commit(self._host.outbox.wake)
        return len(rows)

    @staticmethod
    def _outbox_row(row: Row[Any], tx: Tx) -> OutboxRow:
        return OutboxRow(
            uuid7(), row.event_type, row.version, row.topic, row.partition_key, row.payload, row.headers, tx.now()
        )
