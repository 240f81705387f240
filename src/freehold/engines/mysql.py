"""MySQL and MariaDB by asyncmy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from asyncmy.converters import conversions
from sqlalchemy import URL, Alias, ColumnElement, Executable, NullPool, Text, bindparam, case, event, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.schema import AddConstraint
from sqlalchemy.sql.schema import MetaData, Table, UniqueConstraint
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeDecorator, TypeEngine

from freehold.engines.base import CHANGE_SECONDS, OPTIONS, SqlEngine, causes, complete
from freehold.engines.mysql_assignments import in_order
from freehold.engines.mysql_dialect import GUARDED, CreateWholeTable, session_settings
from freehold.engines.mysql_errors import CONFLICTS, DUPLICATE, UNREACHABLE, code
from freehold.engines.mysql_pool import BEGIN, BEGIN_READ_ONLY, LOCKED, MysqlPool
from freehold.engines.mysql_prepared import MysqlPrepared
from freehold.engines.mysql_rows import InsertNew, InsertOrUpdate
from freehold.engines.pool import info_of
from freehold.model.errors import DatabaseUnavailable
from freehold.model.ports import CONNECTIONS

registry.register("mysql.freehold", "freehold.engines.mysql_dialect", "ServerDialect")

_INT64 = 1 << 63
_FOREIGN_KEY = text(
    "SELECT 1 FROM information_schema.table_constraints WHERE constraint_schema = DATABASE() "
    "AND table_name = :table AND constraint_name = :name"
)


class MysqlEngine(SqlEngine):
    """One database, through a pool of `pool_size` connections and `max_overflow` more at a rush.

    A connection that was idle for `pool_idle` seconds is closed. A transaction waits `pool_timeout` seconds for a
    connection and `lock_timeout` for a lock, in whole seconds and at least one.
    """

    dialect = "mysql"

    def __init__(
        self,
        url: URL,
        *,
        pool_size: int = CONNECTIONS,
        max_overflow: int = 0,
        pool_timeout: float = 30.0,
        pool_idle: float = 60.0,
        connect_timeout: float = 10.0,
        lock_timeout: float = 10.0,
        application_name: str = "freehold",
    ) -> None:
        engine = create_async_engine(
            url.set(drivername="mysql+freehold"),
            connect_args={
                "connect_timeout": connect_timeout,
                "program_name": application_name,
                "conv": {**conversions, int: _integer},
            },
            poolclass=NullPool,
            **OPTIONS,
        )

        @event.listens_for(engine.sync_engine, "connect")
        def settle(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            cursor.execute(session_settings(engine.dialect.is_mariadb, lock_timeout))  # type: ignore[attr-defined]
            cursor.close()

        super().__init__(url.set(drivername="mysql"), engine, engine)
        self._pool = MysqlPool(
            engine,
            size=pool_size,
            overflow=max_overflow,
            timeout=pool_timeout,
            idle=pool_idle,
            connect_timeout=connect_timeout,
        )

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pool.transaction(BEGIN)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pool.transaction(BEGIN_READ_ONLY)

    async def close(self) -> None:
        await self._pool.close()

    # --- statements ---------------------------------------------------------------------------------------------------

    def insert_new(self, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]) -> Executable:
        return InsertNew(table, complete(table, rows), key)

    def upsert(
        self,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        key: Sequence[str],
        update: Mapping[str, Any] | Sequence[str] | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> Executable:
        full, values = self._updating(table, rows, key, update)
        if not values:
            return InsertNew(table, full, key)
        inserting = insert(table)
        new = inserting.inserted

        def of_new_row(element: Any, **_: Any) -> Any:
            of_excluded = isinstance(getattr(element, "table", None), Alias) and element.table.name == "excluded"
            return new[element.key] if of_excluded else None

        def spelled(expression: Any) -> Any:
            return (
                replacement_traverse(expression, {}, of_new_row)
                if isinstance(expression, ColumnElement)
                else expression
            )

        setting = {name: spelled(value) for name, value in values.items()}
        if where is not None:
            met = spelled(where)
            setting = {name: case((met, value), else_=table.c[name]) for name, value in setting.items()}
        guarded = _has_other_keys(table, key)
        if guarded:
            same = [table.c[name].is_not_distinct_from(new[name]) for name in key]
            # NULL is refused there: any unique key leads to the update, and only this one may.
            setting = {key[0]: case((_all(same), table.c[key[0]]), else_=None), **setting}
        statement = inserting.on_duplicate_key_update(in_order(setting))
        return InsertOrUpdate(statement.execution_options(**{GUARDED: guarded}), full)

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return column.bool_op("IN")(bindparam(name, type_=_Items(column.type)))

    def prepare(self, statement: Executable) -> MysqlPrepared:
        return MysqlPrepared(statement)

    # --- locks --------------------------------------------------------------------------------------------------------

    async def try_lock(self, connection: AsyncConnection, name: str) -> bool:
        return await self._lock(connection, name, 0)

    async def _lock(self, connection: AsyncConnection, name: str, seconds: int) -> bool:
        info_of(connection)[LOCKED] = True
        # These names are one space for the whole server, and short.
        hashed = hashlib.blake2b(f"{self._url.database}:{name}".encode(), digest_size=24).hexdigest()
        taken = await connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), {"name": hashed, "seconds": seconds})
        return bool(taken)

    async def _lock_schema(self, connection: AsyncConnection) -> None:
        if not await self._lock(connection, "freehold:create", CHANGE_SECONDS):
            raise DatabaseUnavailable(f"another process is changing tables for {CHANGE_SECONDS} seconds already")

    async def make(self, connection: AsyncConnection, metadata: MetaData) -> None:
        """One table after another, each whole or not at all, then foreign keys in a circle; what is there stays."""
        existing = text("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        there = set(await connection.scalars(existing))
        for table in metadata.sorted_tables:
            if table.name not in there:
                await connection.execute(CreateWholeTable(table))
        for key in (key for table in metadata.sorted_tables for key in table.foreign_key_constraints if key.use_alter):
            if not await connection.scalar(_FOREIGN_KEY, {"table": key.table.name, "name": key.name}):
                await connection.execute(AddConstraint(key))

    # --- errors -------------------------------------------------------------------------------------------------------

    def is_conflict(self, error: BaseException) -> bool:
        return any(code(cause) in CONFLICTS for cause in causes(error))

    def is_unavailable(self, error: BaseException) -> bool:
        return any(_unreachable(cause) for cause in causes(error))

    def is_duplicate(self, error: BaseException) -> bool:
        return any(code(cause) == DUPLICATE for cause in causes(error))


class _Items(TypeDecorator[list[Any]]):
    """A parameter that the driver writes as a list in parentheses."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def process_bind_param(self, value: Any, dialect: Any) -> tuple[Any, ...]:
        """The items as their own type gives them to the driver; a list of none is one of NULL, which nothing equals."""
        process = self.item.dialect_impl(dialect).bind_processor(dialect)
        return tuple(process(item) if process else item for item in value) or (None,)


def _integer(value: int, _: object = None) -> str:
    # The server would compare and count with any number, and find nothing.
    if not -_INT64 <= value < _INT64:
        raise OverflowError(f"an integer of {value.bit_length()} bits is too large for the database")
    return str(value)


def _has_other_keys(table: Table, key: Sequence[str]) -> bool:
    """Whether rows can meet in another unique key than this one."""
    uniques = [table.primary_key, *(each for each in table.constraints if isinstance(each, UniqueConstraint))]
    keys = [{column.key for column in each.columns} for each in uniques]
    keys += [{column.key for column in index.columns} for index in table.indexes if index.unique]
    return any(columns and columns != set(key) for columns in keys)


def _all(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    first, *others = conditions
    for other in others:
        first &= other
    return first


def _unreachable(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    return code(error) in UNREACHABLE or isinstance(error, DatabaseUnavailable | PoolTimeout)
