"""PostgreSQL by asyncpg."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import (
    URL,
    ColumnElement,
    Executable,
    Integer,
    NullPool,
    Text,
    any_,
    bindparam,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql.schema import MetaData, Table

from freehold.engines.base import CHANGE_SECONDS, OPTIONS, ConflictInsert, SqlEngine, causes
from freehold.engines.postgres_dialect import hide_values
from freehold.engines.postgres_pool import BEGIN, BEGIN_READ_ONLY, PostgresPool
from freehold.engines.prepared import PostgresPrepared
from freehold.model.errors import ConfigurationError, DatabaseUnavailable
from freehold.model.ports import CONNECTIONS

DRIVER = "postgresql+freehold"
registry.register("postgresql.freehold", "freehold.engines.postgres_dialect", "PlainJsonDialect")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONFLICTS = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available in time
_UNREACHABLE = {"57P01", "57P02", "57P03", "57P05", "53300"}  # shut down, crashed, starting, idle too long, full
_CONNECTION_CLASS = "08"
_DUPLICATE = "23505"
_OPTIONS = ("pgbouncer", "postgis")


class PostgresEngine(SqlEngine):
    """One database, or one schema of it, through a pool of `pool_size` connections and `max_overflow` more at a rush.

    A connection that was idle for `pool_idle` seconds is closed. A transaction waits `pool_timeout` seconds for a
    connection, `lock_timeout` for a lock.

    `pgbouncer`, or `?pgbouncer=true` in the address, makes it fit to run behind PgBouncer in transaction mode, where
    each transaction may meet another session: no prepared statement outlives its use, and settings are those of the
    transaction. `postgis`, or `?postgis=true` in the address, makes points PostGIS's `geography`; the database must
    have the extension.
    """

    dialect = "postgresql"

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
        pgbouncer: bool = False,
        postgis: bool = False,
        application_name: str = "freehold",
    ) -> None:
        url, said = apart(url)
        pgbouncer = pgbouncer or said["pgbouncer"]
        connect: dict[str, Any] = {"timeout": connect_timeout}
        settings = {"application_name": application_name}
        # Compiling short statements to machine code costs more than it saves.
        own = {"jit": "off", "timezone": "UTC", "lock_timeout": f"{int(lock_timeout * 1000)}ms"}
        if pgbouncer:
            connect |= {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": str,  # the empty name is the unnamed statement
            }
        else:
            settings |= own
        engine = create_async_engine(
            url.set(drivername=DRIVER),
            connect_args={**connect, "server_settings": settings},
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            **OPTIONS,
        )
        event.listen(engine.sync_engine, "handle_error", lambda context: hide_values(context.original_exception))
        engine.dialect.postgis = self._postgis = postgis or said["postgis"]  # type: ignore[attr-defined]
        super().__init__(url, engine, engine)
        self._pool = PostgresPool(
            engine,
            size=pool_size,
            overflow=max_overflow,
            timeout=pool_timeout,
            idle=pool_idle,
            settings=own if pgbouncer else {},
        )

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pool.transaction(BEGIN)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pool.transaction(BEGIN_READ_ONLY)

    async def close(self) -> None:
        await self._pool.close()

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return column == any_(bindparam(name, type_=ARRAY(column.type, dimensions=1)))

    def prepare(self, statement: Executable) -> PostgresPrepared:
        return PostgresPrepared(statement, self._writer.dialect)

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> ConflictInsert:
        if len(rows) == 1:
            return postgres_insert(table).values(rows[0])
        if any(isinstance(table.c[name].type, ARRAY) for name in rows[0]):  # unnest would flatten these
            return postgres_insert(table).values(rows)
        # One array for each column: the statement is the same, and prepared, whatever the number of rows.
        names = list(rows[0])
        arrays = [
            bindparam(f"column_{i}", [row[name] for row in rows], ARRAY(table.c[name].type, dimensions=1), unique=True)
            for i, name in enumerate(names)
        ]
        new = func.unnest(*arrays).table_valued(*names, name="new").render_derived()
        return postgres_insert(table).from_select(names, select(*new.c), include_defaults=False)

    async def make(self, connection: AsyncConnection, metadata: MetaData) -> None:
        if self._postgis and not await connection.scalar(text("SELECT to_regtype('geography') IS NOT NULL")):
            raise ConfigurationError(
                "database",
                f"{self.url} has no PostGIS that the service's role finds, and the address says postgis=true",
                "CREATE EXTENSION postgis in a schema of its search_path, or leave the option out",
            )
        await super().make(connection, metadata)

    async def _lock_schema(self, connection: AsyncConnection) -> None:
        usual = await connection.scalar(text("SELECT current_setting('lock_timeout')"))
        patience = text("SELECT set_config('lock_timeout', :limit, true)")
        await connection.execute(patience, {"limit": f"{CHANGE_SECONDS}s"})
        try:
            await connection.execute(select(func.pg_advisory_xact_lock(_lock_key("freehold:create"))))
        except DBAPIError as error:
            if not self.is_conflict(error):
                raise
            problem = f"another process is changing tables for {CHANGE_SECONDS} seconds already"
            raise DatabaseUnavailable(problem) from error
        await connection.execute(patience, {"limit": usual})

    async def try_lock(self, connection: AsyncConnection, name: str) -> bool:
        return bool(await connection.scalar(select(func.pg_try_advisory_xact_lock(_lock_key(name)))))

    def is_conflict(self, error: BaseException) -> bool:
        return any(
            _sqlstate(cause) in _CONFLICTS or isinstance(cause, asyncpg.InvalidCachedStatementError)
            for cause in causes(error)
        )

    def is_unavailable(self, error: BaseException) -> bool:
        return any(_unreachable(cause) for cause in causes(error))

    def is_duplicate(self, error: BaseException) -> bool:
        return any(_sqlstate(cause) == _DUPLICATE for cause in causes(error))


def apart(url: URL) -> tuple[URL, dict[str, bool]]:
    """An address without the options that are ours, and those. Raises ConfigurationError."""
    options = {}
    for name in _OPTIONS:
        said = url.query.get(name, "false")
        if said not in ("true", "false"):
            problem = f"{name}={said} in the address is neither true nor false"
            raise ConfigurationError("database", problem, "Write one of them")
        options[name] = said == "true"
    return url.difference_update_query(_OPTIONS), options


def _lock_key(name: str) -> Any:
    # Advisory locks are one name space for the whole database, which may hold a schema for each service.
    return func.hashtextextended(
        func.concat(func.current_schema(), ":", bindparam("name", name, Text)), 0, type_=Integer
    )


def _sqlstate(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""


def _unreachable(error: BaseException) -> bool:
    state = _sqlstate(error)
    if state:
        return state in _UNREACHABLE or state.startswith(_CONNECTION_CLASS)
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error)  # the driver's own word for it has no code
    # The driver's inner state: the server has said its last word, and the connection's end is not read yet.
    return isinstance(error, DatabaseUnavailable | PoolTimeout | asyncpg.InternalClientError)
