"""What the SQL engines share: transactions on SQLAlchemy's asyncio engines, and inserts that meet existing rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from pydantic_core import from_json, to_json
from sqlalchemy import URL, Connection, Executable, FromClause, Insert, MetaData, Table, alias, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from freehold.model.errors import Unavailable


class ConflictInsert(Protocol):
    """The INSERT of a dialect that has ON CONFLICT."""

    def on_conflict_do_nothing(self, *, index_elements: Sequence[Any]) -> Insert: ...

    def on_conflict_do_update(
        self, *, index_elements: Sequence[Any], set_: Mapping[str, Any], where: ColumnElement[bool] | None
    ) -> Insert: ...


CHANGE_SECONDS = 60
"""How long a process waits for another one that makes or changes tables."""


class SqlEngine:
    """One service's database behind two SQLAlchemy engines: one writes, the other only reads."""

    dialect: str

    def __init__(self, url: URL, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._url = url
        self._writer = writer
        self._reader = reader

    @property
    def url(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._writer.begin()

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._reader.connect()

    def insert_new(self, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]) -> Executable:
        columns = [table.c[name] for name in key]
        inserting = self._insert(table, complete(table, rows))
        return inserting.on_conflict_do_nothing(index_elements=columns).returning(*columns)

    def upsert(
        self,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        key: Sequence[str],
        update: Mapping[str, Any] | Sequence[str] | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> Executable:
        full, update = self._updating(table, rows, key, update)
        inserting, columns = self._insert(table, full), [table.c[name] for name in key]
        if not update:
            return inserting.on_conflict_do_nothing(index_elements=columns)
        return inserting.on_conflict_do_update(index_elements=columns, set_=update, where=where)

    def _updating(
        self,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        key: Sequence[str],
        update: Mapping[str, Any] | Sequence[str] | None,
    ) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        """An upsert's rows, complete, and what it sets of those that are there."""
        full = complete(table, rows)
        if len({tuple(row[name] for name in key) for row in full}) < len(full):
            raise ValueError(f"{table.name}: one upsert has two rows of the same {', '.join(key)}. Merge them first")
        if update is None:
            update = [name for name in full[0] if name not in key]
        if not isinstance(update, Mapping):
            new = self.excluded(table).c
            update = {name: new[name] for name in update}
        return full, update

    def excluded(self, table: Table) -> FromClause:
        return alias(table, name="excluded")

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[AsyncConnection, None]:
        async with self.write() as connection:
            await self._lock_schema(connection)
            yield connection

    async def make(self, connection: AsyncConnection, metadata: MetaData) -> None:
        await connection.run_sync(metadata.create_all)

    def watch(self, seen: Callable[[Connection, str], None]) -> Callable[[], None]:
        def before(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
            seen(connection, statement)

        engines = dict.fromkeys(
            engine.sync_engine for engine in (self._writer, self._reader)
        )  # on servers both are one
        for engine in engines:
            event.listen(engine, "before_cursor_execute", before)

        def end() -> None:
            for engine in engines:
                event.remove(engine, "before_cursor_execute", before)

        return end

    async def create(self, metadata: MetaData) -> None:
        async with self.write() as connection:
            await self._lock_schema(connection)
            await self.make(connection, metadata)

    async def ping(self) -> None:
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> ConflictInsert:
        raise NotImplementedError

    async def _lock_schema(self, connection: AsyncConnection) -> None:
        """Keep two processes from changing the tables at once, where the database does not do so itself.

        Raises DatabaseUnavailable when another one takes too long.
        """


def complete(table: Table, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the columns' Python-side defaults filled in. Raises ValueError when they name different columns."""
    if not rows:
        raise ValueError(f"{table.name}: there are no rows to insert")
    names = rows[0].keys()
    for row in rows:
        if row.keys() != names:
            differing = ", ".join(sorted(set(names) ^ row.keys()))
            raise ValueError(f"{table.name}: not all rows have the columns {differing}. Give every row the same")
    missing = [column for column in table.columns if column.key not in names and column.default is not None]
    return [{**row, **{column.key: _default(column.default) for column in missing}} for row in rows]


def _default(default: Any) -> Any:
    # SQLAlchemy wraps every callable so that it takes the execution context, which there is none of here.
    return default.arg(None) if default.is_callable else default.arg


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and everything it was raised from, the driver's own error included.

    What lies behind an Unavailable, such as another service's database, is no matter of this one.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        if isinstance(current, Unavailable):
            return
        current = getattr(current, "orig", None) or current.__cause__


def dump_json(value: Any) -> str:
    """JSON text of anything Pydantic knows: UUIDs, Decimals (as strings) and times included."""
    return to_json(value, inf_nan_mode="constants").decode()


OPTIONS: dict[str, Any] = {
    "json_serializer": dump_json,
    "json_deserializer": from_json,
    "hide_parameters": True,  # a failing statement's error goes into logs; passwords and tokens must not
}
