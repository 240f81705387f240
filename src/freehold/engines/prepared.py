"""Statements that run with every event: compiled once, run on the driver, past SQLAlchemy's execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ClauseElement, Dialect, Executable
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler


class Prepared:
    """A statement with `bindparam`s for what differs from call to call; values pass the columns' types as usual."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = cast("SQLCompiler", cast("ClauseElement", statement).compile(dialect=dialect))
        self._sql = compiled.string
        binds = [compiled.binds[name] for name in compiled.positiontup or ()]
        self._binds = [
            (bind.key, bind.effective_value, bind.type.dialect_impl(dialect).bind_processor(dialect)) for bind in binds
        ]
        columns = getattr(statement, "exported_columns", ())
        self._results = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]

    def _values(self, values: Mapping[str, Any]) -> list[Any]:
        given = [(values.get(name, constant), process) for name, constant, process in self._binds]
        return [process(value) if process else value for value, process in given]

    def _row(self, row: Sequence[Any]) -> Sequence[Any]:
        return [process(value) if process else value for value, process in zip(row, self._results, strict=True)]


class PostgresPrepared(Prepared):
    """asyncpg prepares it once on each connection."""

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        rows = await driver_of(connection).fetch(self._sql, *self._values(values))
        return [self._row(row) for row in rows]

    async def execute(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        status: str = await driver_of(connection).execute(self._sql, *self._values(values))
        return int(status.rpartition(" ")[2])


class SqlitePrepared(Prepared):
    """sqlite3 keeps it compiled; it runs inline."""

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return [self._row(row) for row in self._run(connection, values).fetchall()]

    async def execute(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        count: int = self._run(connection, values).rowcount
        return count

    def _run(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Any:
        return driver_of(connection).execute(self._sql, self._values(values))


def driver_of(connection: AsyncConnection) -> Any:
    """The driver's own connection beneath. Raises SQLAlchemy's errors when it is gone."""
    return connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]
