"""Statements of MySQL and MariaDB that run with every event, past SQLAlchemy's execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asyncmy.errors import Error
from asyncmy.errors import IntegrityError as DriverIntegrityError
from sqlalchemy import Executable, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.engines.mysql_dialect import FAILED
from freehold.engines.mysql_errors import heard
from freehold.engines.mysql_rows import InsertNew, is_duplicate_key
from freehold.engines.pool import info_of
from freehold.engines.prepared import Prepared, driver_of


class MysqlPrepared:
    """Compiled with the first connection, which knows the server; the driver puts the values in."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """The rows. Of an `insert_new`, the key if it was new."""
        if isinstance(self._statement, InsertNew):
            new = await self._insert(connection, self._statement, values)
            return [[values[bind.key] for bind in self._statement.key_parameters]] if new else []
        rows: Sequence[Sequence[Any]]
        _, rows = await self._of(connection).run(connection, values)
        return rows

    async def execute(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        """How many rows it touched."""
        if isinstance(self._statement, InsertNew):
            return await self._insert(connection, self._statement, values)
        count, _ = await self._of(connection).run(connection, values)
        return count

    def _of(self, connection: AsyncConnection) -> _Compiled:
        if self._compiled is None:
            statement = self._statement
            if isinstance(statement, InsertNew):
                statement = statement.table.insert().values(statement.rows[0])
            self._compiled = _Compiled(statement, connection.dialect)
        return self._compiled

    async def _insert(self, connection: AsyncConnection, statement: InsertNew, values: Mapping[str, Any]) -> int:
        """1, or 0 when the row is there already."""
        failed = FAILED in info_of(connection)
        try:
            return (await self._of(connection).run(connection, values))[0]
        except IntegrityError as error:
            if not is_duplicate_key(error):
                raise
            found = select(*statement.key).where(statement.same_key(values))
            if (await connection.execute(found)).first() is None:  # it is another key that is taken
                raise
            if not failed:
                info_of(connection).pop(FAILED, None)
            return 0


class _Compiled(Prepared):
    async def run(self, connection: AsyncConnection, values: Mapping[str, Any]) -> tuple[int, Sequence[Sequence[Any]]]:
        """How many rows it touched or found, and those that it found."""
        try:
            async with driver_of(connection).cursor() as cursor:
                count: int = await cursor.execute(self._sql, self._values(values))
                return count, self._rows(await cursor.fetchall() if cursor.description else ())
        except Error as error:
            info_of(connection)[FAILED] = True
            told = heard(error)
            if isinstance(told, DriverIntegrityError):
                raise IntegrityError(self._sql, None, told) from None
            raise told from None
