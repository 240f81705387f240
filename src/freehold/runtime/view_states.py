"""Where a view stands: its row in `view_states`, which is also what its writers wait for each other by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from freehold.model.problem import Problem
from freehold.runtime.transaction import Tx

if TYPE_CHECKING:
    from freehold.runtime.host import Host


class StateRow:
    """The row of one view."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._table = host.tables.views
        self._name = name

    async def lock(self, tx: Tx) -> RowMapping:
        """Hold the view against everybody else until the transaction ends; its state."""
        connection, table = await tx.connection(), self._table
        statement = select(table).where(table.c.name == self._name).with_for_update()
        row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None:
            first = {"name": self._name, "state": "idle", "generation": 0, "rows_read": 0, "scopes": []}
            new = self._host.engine.insert_new(table, [{**first, "updated_at": tx.now()}], key=["name"])
            await connection.execute(new)
            row = (await connection.execute(statement)).mappings().one()
        return row

    async def save(self, tx: Tx, **values: Any) -> None:
        """Change it; the transaction holds it."""
        mine = update(self._table).where(self._table.c.name == self._name)
        await (await tx.connection()).execute(mine.values(updated_at=tx.now(), **values))

    async def begin(self, tx: Tx) -> RowMapping:
        """Start a rebuild, or go on with one that was cut short; the state as it was."""
        state = await self.lock(tx)
        if state["state"] != "rebuilding":
            await self.save(tx, state="rebuilding", cursor=None, rows_read=0, started_at=tx.now())
        return state


def rebuild_running(name: str) -> Problem:
    """A 409 Problem: another rebuild is at it."""
    return Problem(409, "REBUILD_RUNNING", f"the view {name} is being rebuilt")
