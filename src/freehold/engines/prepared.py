"""Statements that run with every event: compiled once, run on the driver, past SQLAlchemy's execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import ClauseElement, Dialect, Executable
from sqlalchemy.exc import IntegrityError
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
        self._as_they_come = not any(self._results)

    def _values(self, values: Mapping[str, Any]) -> list[Any]:
        given = [(values.get(name, constant), process) for name, constant, process in self._binds]
        return [process(value) if process else value for value, process in given]

    def _rows(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        if self._as_they_come:
            return rows
        processes = self._results
        return [[process(value) if process else value for value, process in zip(row, processes)] for row in rows]  # noqa: B905 - the statement says how many


class PostgresPrepared(Prepared):
    """asyncpg prepares it once on each connection."""

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        try:
            return self._rows(await driver_of(connection).fetch(self._sql, *self._values(values)))
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(self._sql, None, error) from error

    async def execute(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        try:
            status: str = await driver_of(connection).execute(self._sql, *self._values(values))
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(self._sql, None, error) from error
        return int(status.rpartition(" ")[2])


class SqlitePrepared(Prepared):
    """sqlite3 keeps it compiled; it runs inline."""

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return self._rows(self._run(connection, values).fetchall())

    async def execute(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        cursor = self._run(connection, values)
        # sqlite3 counts what an INSERT … RETURNING touches only in later versions of Python.
        count: int = cursor.rowcount if cursor.description is None else len(cursor.fetchall())
        return count

    def _run(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Any:
        return driver_of(connection).execute(self._sql, self._values(values))


def driver_of(connection: AsyncConnection) -> Any:
    """The driver's own connection beneath. Raises SQLAlchemy's errors when it is gone."""
    return connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]
