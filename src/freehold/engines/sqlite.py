"""SQLite: a file per service, one writer at a time, any number of readers beside it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Executable,
    bindparam,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.schema import Table

from freehold.engines.base import OPTIONS, ConflictInsert, SqlEngine, causes
from freehold.engines.prepared import SqlitePrepared, driver_of
from freehold.engines.sqlite_dialect import connect
from freehold.model.errors import ConfigurationError
from freehold.model.listed import ListOf

registry.register("sqlite.freehold", "freehold.engines.sqlite_dialect", "InlineDialect")

_CONFLICTS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNREACHABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PROTOCOL)
_DUPLICATES = (
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
)
_INT64 = 1 << 63
_MAGIC = b"SQLite format 3\0"
LOOK_EVERY = 128
"""Commits between two looks at the size of the write-ahead log."""
PAUSE = 0.1
"""Seconds that reads wait, at most, while it is begun anew."""


class SqliteEngine(SqlEngine):
    """One file in WAL mode with synchronous=FULL: what has been committed survives a power failure.

    `readers` bounds the connections that read at the same time. `busy_timeout` is how many seconds a transaction waits
    for the file, be it for this process's earlier writers or for another process; then it fails as a conflict. Beyond
    `wal_limit` bytes the write-ahead log is begun anew: reads that always overlap would let it grow for ever.
    """

    dialect = "sqlite"

    def __init__(
        self, url: URL, *, readers: int = 16, busy_timeout: float = 10.0, wal_limit: int = 64 * 1024 * 1024
    ) -> None:
        if not url.database or url.database == ":memory:":
            raise ConfigurationError("database", "SQLite needs a file", "Write sqlite:///path/to/service.db")
        path = Path(url.database).absolute()
        _prepare(path)

        def engine(size: int, *, writes: bool) -> AsyncEngine:
            return create_async_engine(
                URL.create("sqlite+freehold", database=str(path)),
                creator=lambda: connect(str(path), writes=writes, busy_timeout=busy_timeout),
                pool_size=size,
                max_overflow=0,
                pool_timeout=busy_timeout,
                **OPTIONS,
            )

        super().__init__(url, engine(1, writes=True), engine(readers, writes=False))
        self._busy_timeout = busy_timeout
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._holder: asyncio.Task[Any] | None = None
        self._wal = path.with_name(f"{path.name}-wal")
        self._wal_limit = wal_limit
        self._commits = 0
        self._reads = 0
        self._quiet = asyncio.Event()
        self._pause: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection, None]:
        if self._pause is not None:
            await asyncio.wait([self._pause])
        self._reads += 1
        try:
            connection = await self._reader.connect()
            # Given back at once: `async with` would take turns of the event loop, and so would all who wait for it.
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            self._reads -= 1
            if not self._reads:
                self._quiet.set()

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[AsyncConnection, None]:
        """A table that is made anew is dropped first: its rows' foreign keys hold again before the commit."""
        async with self._writing(foreign_keys=False) as connection:
            yield connection
            if broken := (await connection.execute(text("PRAGMA foreign_key_check"))).first():
                raise IntegrityError(
                    f"rows of {broken[0]} would refer to missing rows of {broken[2]}", None, ValueError()
                )

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._writing(foreign_keys=True)

    @asynccontextmanager
    async def _writing(self, *, foreign_keys: bool) -> AsyncGenerator[AsyncConnection, None]:
        async with self._turn():
            connection = await self._writer.connect()
            if not foreign_keys:  # inside a transaction this says nothing
                driver_of(connection).execute("PRAGMA foreign_keys=OFF")
            # Nothing below leaves the event loop unless the body does, so that a cancellation cannot cut it short.
            try:
                await connection.begin()
                try:
                    yield connection
                except BaseException:
                    await connection.rollback()
                    raise
                await connection.commit()
                self._commits += 1
                if self._commits % LOOK_EVERY == 0:
                    await self._begin_wal_anew(connection)
            finally:
                if not foreign_keys:
                    driver_of(connection).execute("PRAGMA foreign_keys=ON")
                await connection.close()

    async def _begin_wal_anew(self, connection: AsyncConnection) -> None:
        """Let no read begin until those under way have ended, for a moment; where one does not, it is tried later."""
        if not self._wal.exists() or self._wal.stat().st_size < self._wal_limit:
            return
        pause = self._pause = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PAUSE):
                if self._reads:
                    self._quiet = asyncio.Event()  # of this event loop; an engine may outlive one
                    await self._quiet.wait()
            driver_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except TimeoutError:
            pass
        finally:
            self._pause = None
            pause.set_result(None)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None, None]:
        """Writers of this process take the one connection in the order in which they came."""
        task = asyncio.current_task()
        if self._holder is task:
            raise RuntimeError(f"{self.url}: this task is inside a write transaction already. Use its connection")
        lock = self._lock()
        try:
            async with asyncio.timeout(self._busy_timeout):
                await lock.acquire()
        except TimeoutError:
            raise PoolTimeout(
                f"{self.url}: earlier write transactions took more than {self._busy_timeout:g} seconds"
            ) from None
        self._holder = task
        try:
            yield
        finally:
            self._holder = None
            lock.release()

    def _lock(self) -> asyncio.Lock:
        # A lock belongs to the event loop that waited for it; an engine may outlive one (in tests, in command lines).
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = (loop, asyncio.Lock())
        return self._turns[1]

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        listed = func.json_each(bindparam(name, type_=ListOf(column.type))).table_valued("value", name="listed")
        return column.in_(select(listed.c.value))

    def prepare(self, statement: Executable) -> SqlitePrepared:
        return SqlitePrepared(statement, self._writer.dialect)

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> ConflictInsert:
        if len(rows) == 1:
            return insert(table).values(rows[0])
        names = list(rows[0])
        bound = list(zip(*(self._bound(table.c[name], [row[name] for row in rows]) for name in names), strict=True))
        if not all(map(_fits_json, chain.from_iterable(bound))):
            return insert(table).values(rows)
        # One document for all: the statement is the same, and compiled once, whatever the number of rows.
        document = func.json_each(json.dumps(bound, ensure_ascii=False)).table_valued("value", name="new")
        cells = [func.json_extract(document.c.value, literal_column(f"'$[{i}]'")) for i in range(len(names))]
        return insert(table).from_select(names, select(*cells).where(true()), include_defaults=False)

    def _bound(self, column: Column[Any], values: list[Any]) -> list[Any]:
        """The values as the column's type gives them to the driver."""
        dialect = self._writer.dialect
        process = column.type.dialect_impl(dialect).bind_processor(dialect)
        return [process(value) for value in values] if process else values

    async def try_lock(self, connection: AsyncConnection, name: str) -> bool:
        return True  # a write transaction has the whole file to itself

    def is_conflict(self, error: BaseException) -> bool:
        return any(isinstance(cause, PoolTimeout) or _code(cause) & 0xFF in _CONFLICTS for cause in causes(error))

    def is_unavailable(self, error: BaseException) -> bool:
        return any(_code(cause) & 0xFF in _UNREACHABLE for cause in causes(error))

    def is_duplicate(self, error: BaseException) -> bool:
        return any(_code(cause) in _DUPLICATES for cause in causes(error))


def _prepare(path: Path) -> None:
    """Make the folder. Raises ConfigurationError for what cannot be had, or is something else than a database."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return  # SQLite makes it
    except OSError as error:
        remedy = "Correct the path, or its permissions"
        raise ConfigurationError("database", f"{path} cannot be opened ({error.strerror})", remedy) from None
    if head not in (b"", _MAGIC):
        raise ConfigurationError("database", f"{path} is not an SQLite database", "Move it away, or name another file")


def _code(error: BaseException) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code


def _fits_json(value: Any) -> bool:
    """Whether a bound value comes out of SQLite's JSON functions as it went in."""
    if isinstance(value, str):
        return "\0" not in value
    return value is None or (isinstance(value, int) and abs(value) < _INT64)
