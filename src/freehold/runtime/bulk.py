"""Many rows in one statement, which is compiled and prepared once, whatever their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Insert, Table, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.engines.prepared import PostgresPrepared


class BulkInsert:
    """INSERT rows in their order, so that numbers the database gives them grow in that order.

    Args:
        table: where to.
        columns: those that every row gives; the others get the database's own defaults.
    """

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.columns = columns
        self._table = table
        self._plain = table.insert()
        self._prepared: PostgresPrepared | None = None

    async def __call__(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        if connection.dialect.name == "postgresql":
            if self._prepared is None:
                self._prepared = PostgresPrepared(self.from_arrays(), connection.dialect)
            await self._prepared.execute(connection, self.arrays(rows))
        else:
            await connection.execute(self._plain, rows)

    def from_arrays(self, prefix: str = "") -> Insert:
        """One array for each column: half the time of an executemany of 200 rows."""
        columns = self._table.c
        arrays = [bindparam(prefix + name, type_=ARRAY(columns[name].type, dimensions=1)) for name in self.columns]
        new = func.unnest(*arrays).table_valued(*self.columns, name=f"{prefix}new").render_derived()
        return self._table.insert().from_select(list(self.columns), select(*new.c), include_defaults=False)

    def arrays(self, rows: Sequence[Mapping[str, Any]], prefix: str = "") -> dict[str, list[Any]]:
        """The values for `from_arrays`."""
        return {prefix + name: [row[name] for row in rows] for name in self.columns}


class BulkInserts:
    """Rows of several tables: by one statement, and one way to the server and back, on PostgreSQL."""

    def __init__(self) -> None:
        self._prepared: dict[tuple[BulkInsert, ...], PostgresPrepared] = {}

    async def __call__(
        self, connection: AsyncConnection, rows: Mapping[BulkInsert, Sequence[Mapping[str, Any]]]
    ) -> None:
        if connection.dialect.name != "postgresql" or len(rows) == 1:
            for insert, each in rows.items():
                await insert(connection, each)
            return
        inserts = tuple(rows)
        prepared = self._prepared.get(inserts)
        if prepared is None:
            statement, *others = (insert.from_arrays(f"t{at}_") for at, insert in enumerate(inserts))
            for other in others:
                statement = statement.add_cte(other.cte())
            prepared = self._prepared[inserts] = PostgresPrepared(statement, connection.dialect)
        values: dict[str, list[Any]] = {}
        for at, (insert, each) in enumerate(rows.items()):
            values |= insert.arrays(each, f"t{at}_")
        await prepared.execute(connection, values)
