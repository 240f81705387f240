"""Many rows in one INSERT, and rows that may be there already, on servers without ON CONFLICT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, cast

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    Connection,
    Dialect,
    Executable,
    Result,
    Table,
    and_,
    select,
    tuple_,
)
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ColumnElement

from freehold.engines.mysql_dialect import FAILED
from freehold.engines.mysql_errors import DUPLICATE, code

Row = Mapping[str, Any]
MOST_ROWS = 1000
"""Rows in one statement."""
MOST_TEXT = 1024 * 1024
"""Characters and bytes in one statement, which must stay well below the server's `max_allowed_packet` (16 MiB)."""


class RowsStatement(Executable, ClauseElement):
    """What writes rows of one table by as many statements as it takes."""

    is_dml = True

    def __init__(self, table: Table, rows: Sequence[Row]) -> None:
        self.table = table
        self.rows = rows

    @property
    def exported_columns(self) -> Sequence[Column[Any]]:
        """What it returns of each row."""
        return ()

    def options(self, *options: Any) -> Self:
        """None matter: they are of how rows are loaded."""
        return self

    def _execute_on_connection(self, connection: Connection, *_: Any) -> Any:
        """What SQLAlchemy asks of everything that can be executed."""
        raise NotImplementedError


class InsertNew(RowsStatement):
    """INSERT the rows whose key is not there yet; the result are the keys of those that were inserted.

    It looks which keys are there, which locks nothing, and inserts the others by a plain INSERT: every error stays one,
    which INSERT IGNORE would keep quiet. Who was faster in between makes that fail as a whole, and it looks again.
    """

    def __init__(self, table: Table, rows: Sequence[Row], key: Sequence[str]) -> None:
        super().__init__(table, rows)
        self.key = [table.c[name] for name in key]

    @property
    def exported_columns(self) -> Sequence[Column[Any]]:
        return self.key

    def _execute_on_connection(self, connection: Connection, *_: Any) -> Any:
        first_of_each = {self._key_of(row): row for row in reversed(self.rows)}
        inserted: list[tuple[Any, ...]] = []
        for rows in _chunks(list(reversed(first_of_each.values()))):
            inserted += self._insert(connection, rows)
        return IteratorResult(SimpleResultMetaData([column.name for column in self.key]), iter(inserted))

    def _insert(self, connection: Connection, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        failed = FAILED in connection.info
        duplicate: IntegrityError | None = None
        while rows:
            there = self._there(connection, rows)
            missing = [row for row in rows if self._key_of(row) not in there]
            if duplicate is not None and len(missing) == len(rows):  # it is another key that is taken
                raise duplicate
            if duplicate is not None and not failed:
                connection.info.pop(FAILED, None)
            rows = missing
            try:
                if rows:
                    execute_rows(connection, self.table.insert(), rows)
                break
            except IntegrityError as error:
                if not is_duplicate_key(error):
                    raise
                duplicate = error
        return [self._key_of(row) for row in rows]

    def _there(self, connection: Connection, rows: Sequence[Row]) -> set[tuple[Any, ...]]:
        """Which of the rows' keys exist. A failed INSERT has waited for whoever was inserting one, and holds it."""
        keys = [self._key_of(row) for row in rows]
        condition: ColumnElement[bool] = (
            self.key[0].in_([key[0] for key in keys]) if len(self.key) == 1 else tuple_(*self.key).in_(keys)
        )
        return {tuple(row) for row in connection.execute(select(*self.key).where(condition))}

    def _key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column.key] for column in self.key)

    @property
    def key_parameters(self) -> list[BindParameter[Any]]:
        """Of a statement to prepare, which has one row and parameters in it: those of the key."""
        return [self.rows[0][column.key] for column in self.key]

    def same_key(self, values: Mapping[str, Any]) -> ColumnElement[bool]:
        """What the row satisfies that has the key which these parameters name."""
        return and_(*(column == values[of.key] for column, of in zip(self.key, self.key_parameters, strict=True)))


class InsertOrUpdate(RowsStatement):
    """INSERT … ON DUPLICATE KEY UPDATE for many rows. `statement` is an insert without values that says what to do."""

    def __init__(self, statement: Insert, rows: Sequence[Row]) -> None:
        super().__init__(cast("Table", statement.table), rows)
        self._statement = statement

    def _execute_on_connection(self, connection: Connection, *_: Any) -> Any:
        for rows in _chunks(self.rows):
            result = execute_rows(connection, self._statement, rows)
        return result


def execute_rows(connection: Connection, statement: Insert, rows: Sequence[Row]) -> Result[Any]:
    """One statement for all of the rows, which have the same columns."""
    single = statement.values(rows[0])
    if len(rows) == 1:
        return connection.execute(single)
    dialect = connection.dialect
    compiled = single.compile(dialect=dialect)
    columns = [column for column in statement.table.columns if column.key in rows[0]]
    placeholders = f"({', '.join(['%s'] * len(columns))})"
    before, found, after = compiled.string.partition(placeholders)
    if not found:
        raise ValueError(f"{statement.table}: rows of SQL expressions are inserted one by one")
    processes = [(column.key, processor(column, dialect)) for column in columns]
    values = [process(row[name]) for row in rows for name, process in processes]
    others = [compiled.binds[name] for name in (compiled.positiontup or ())[len(columns) :]]
    values += [processor(bind, dialect)(bind.effective_value) for bind in others]
    text = f"{before}{', '.join([placeholders] * len(rows))}{after}"
    return connection.exec_driver_sql(text, tuple(values), execution_options=statement.get_execution_options())


def is_duplicate_key(error: BaseException) -> bool:
    """Whether SQLAlchemy's error is that a unique key was taken."""
    original = getattr(error, "orig", None)
    return original is not None and code(original) == DUPLICATE


def processor(typed: Any, dialect: Dialect) -> Callable[[Any], Any]:
    """What makes values of a column's or a parameter's type fit for the driver."""
    return typed.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _chunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        if len(chunk) == MOST_ROWS or size > MOST_TEXT:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
