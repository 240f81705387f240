"""The standard library's sqlite3 behind SQLAlchemy's asyncio extension, its statements run inline in the event loop.

A statement takes microseconds; a hop to a thread and back takes more. What may take long, waiting for another process
that holds the file, is done by retrying with asynchronous sleeps instead of in SQLite's own busy handler.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Iterable
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import URL, AsyncAdaptedQueuePool, Pool
from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext, SQLiteTypeCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import in_greenlet

from freehold.engines.sqlite_compiler import ExactCompiler
from freehold.model.points import of_text

T = TypeVar("T")
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class _Ready:
    """Something to await that is there already: SQLAlchemy insists on one await in each asynchronous call."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


_READY = _Ready()


class InlineCursor(sqlite3.Cursor):
    """A cursor that fetches everything at once, so that no statement is open when its transaction commits."""

    server_side = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._rows: deque[Any] = deque()

    def execute(self, sql: str, parameters: Any = ()) -> InlineCursor:
        if in_greenlet():
            await_(_READY)
        super().execute(sql, parameters)
        if self.description:
            self._rows = deque(super().fetchall())
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> InlineCursor:
        if in_greenlet():
            await_(_READY)
        super().executemany(sql, parameters)
        return self

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        rows = self._rows
        return [rows.popleft() for _ in range(min(size or self.arraysize, len(rows)))]

    def fetchall(self) -> list[Any]:
        rows, self._rows = list(self._rows), deque()
        return rows

    async def _async_soft_close(self) -> None:
        """Nothing to do: the rows are in memory. SQLAlchemy calls this on the cursors of asynchronous drivers."""


class StreamCursor(sqlite3.Cursor):
    """A cursor that reads on while it is asked to, for `connection.stream(...)`."""

    server_side = True

    def execute(self, sql: str, parameters: Any = ()) -> StreamCursor:
        await_(_READY)
        super().execute(sql, parameters)
        return self


class InlineConnection(sqlite3.Connection):
    """A connection whose transactions are begun by us, with `begin_statement`, and never by the driver."""

    begin_statements: tuple[str, ...]
    busy_timeout: float

    def cursor(self, factory: Any = InlineCursor) -> Any:
        return super().cursor(factory)


class InlineExecutionContext(SQLiteExecutionContext):
    def create_server_side_cursor(self) -> Any:
        return self._dbapi_connection.cursor(StreamCursor)


class InlineTypeCompiler(SQLiteTypeCompiler):
    def visit_BIGINT(self, type_: Any, **kw: Any) -> str:
        return "INTEGER"  # 64 bits wide in SQLite, and the only name that numbers a primary key by itself


class InlineDialect(SQLiteDialect_pysqlite):
    """`sqlite+freehold`: see the module. Transactions begin with the connection's own statements."""

    driver = "freehold"
    supports_statement_cache = True
    supports_server_side_cursors = True
    is_async = True
    statement_compiler = ExactCompiler
    type_compiler_cls = InlineTypeCompiler
    execution_ctx_cls = InlineExecutionContext

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        return AsyncAdaptedQueuePool

    def do_begin(self, dbapi_connection: Any) -> None:
        connection: InlineConnection = dbapi_connection.dbapi_connection

        def begin() -> None:
            try:
                for statement in connection.begin_statements:
                    connection.execute(statement)
            except sqlite3.OperationalError:
                connection.rollback()
                raise

        retry_busy(begin, connection.busy_timeout)


def connect(path: str, *, writes: bool, busy_timeout: float) -> InlineConnection:
    """Open the file. Must run inside SQLAlchemy's greenlet, in which it may wait; `busy_timeout` is in seconds."""
    connection = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, factory=InlineConnection
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.create_function("freehold_metres", 3, of_text, deterministic=True)
        connection.busy_timeout = busy_timeout
        # A reader's transaction takes its snapshot at once, as a writer's takes its lock.
        connection.begin_statements = (
            ("BEGIN IMMEDIATE",) if writes else ("BEGIN", "SELECT 1 FROM sqlite_schema LIMIT 1")
        )
        retry_busy(lambda: connection.execute("PRAGMA journal_mode=WAL"), busy_timeout)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    except BaseException:
        connection.close()
        raise
    return connection


def retry_busy(attempt: Callable[[], T], timeout: float) -> T:
    """Run until the file is free, asleep in between; after `timeout` seconds SQLite's own error is raised."""
    deadline = monotonic() + timeout
    pause = 0.001
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or monotonic() >= deadline:
                raise
        await_(asyncio.sleep(pause * random.uniform(0.5, 1.5)))
        pause = min(pause * 2, 0.02)
