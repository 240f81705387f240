"""Statements that run with every event: compiled once, run on the driver, past SQLAlchemy's execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from freehold.engines.postgres_pool import driver_of


class Prepared:
    """A statement whose parameters all are `bindparam`s; its values go through the columns' types as usual."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self._sql = compiled.string
        types = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
        self._binds = [(name, types[name].bind_processor(dialect)) for name in compiled.positiontup or ()]
        columns = getattr(statement, "exported_columns", ())
        self._results = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]

    def _values(self, values: Mapping[str, Any]) -> list[Any]:
        return [process(values[name]) if process else values[name] for name, process in self._binds]

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
