"""One step of a revision: what it does, whether a database has it already, whom it could trip up, and doing it.

A step looks before it acts. Where DDL commits by itself a revision may have stopped anywhere; run again, it goes on
from there. It also takes up a database that was made before its history began.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from alembic.operations import Operations, ops
from alembic.operations.schemaobj import SchemaObjects
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Dialect, Enum, Inspector, MetaData, inspect
from sqlalchemy.sql.elements import conv

from freehold.model.columns import NAMING
from freehold.model.errors import ConfigurationError

_DESTROYS = re.compile(r"\b(drop|rename|truncate|delete)\b", re.IGNORECASE)
_DROPPABLE = {"unique": "get_unique_constraints", "check": "get_check_constraints", "foreignkey": "get_foreign_keys"}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of Alembic's, and what the toolkit makes of it."""

    operation: Any
    breaks: str
    """Why processes of the version before could not go on beside it; empty when they can."""

    @property
    def text(self) -> str:
        """What it does, in words."""
        return _words(self.operation)

    def is_done(self, connection: Connection) -> bool:
        """Whether its effect is there. False for what leaves no trace in the schema: data, types, defaults."""
        return _is_done(self.operation, inspect(connection))

    def run(self, connection: Connection) -> None:
        """Do it."""
        operations = Operations(_context(connection=connection))
        if connection.dialect.name == "sqlite" and _needs_copy(self.operation):
            _in_copy(operations, self.operation, connection)
        else:
            operations.invoke(self.operation)

    def sql(self, dialect: Dialect) -> list[str]:
        """The statements that do it."""
        if dialect.name == "sqlite" and _needs_copy(self.operation):
            return [f"-- {_table_of(self.operation)} is copied into a new table that has it"]
        buffer = StringIO()
        Operations(_context(dialect=dialect, buffer=buffer)).invoke(self.operation)
        return [line for part in buffer.getvalue().split("\n\n") if (line := part.strip())]


def recorded(
    upgrade: Callable[[Any], None], dialect: Dialect, names: Mapping[str, str], *, where: str
) -> Sequence[Step]:
    """The steps that a revision's function names; `where` is its file.

    Raises:
        ConfigurationError: it asks the database, whose answer nobody has when the steps are only listed.
    """
    recorder = _Recorder(_context(dialect=dialect, buffer=StringIO()), where)
    upgrade(recorder)
    for operation in recorder.found:
        for attribute in ("table_name", "new_table_name", "source_table", "referent_table"):
            if called := names.get(getattr(operation, attribute, "")):
                setattr(operation, attribute, called)
        if getattr(operation, "constraint_type", "") == "check":
            _call_by_its_name(operation, recorder.migration_context)
    return steps_of(recorder.found)


def steps_of(operations: Sequence[Any]) -> list[Step]:
    """The operations of one revision as its steps."""
    made = {op.table_name for op in operations if isinstance(op, ops.CreateTableOp)}
    added = {(op.table_name, op.column.name) for op in operations if isinstance(op, ops.AddColumnOp)}
    return [Step(op, "" if _is_of_new(op, made, added) else _breaks(op)) for op in operations]


def _is_of_new(operation: Any, made: set[str], added: set[tuple[str, str]]) -> bool:
    """Whether it is about rows or values that only this revision's own version writes."""
    if not isinstance(operation, ops.AddConstraintOp | ops.CreateIndexOp):
        return False
    table = _table_of(operation)
    columns: Sequence[Any] = getattr(operation, "columns", ()) or getattr(operation, "local_cols", ())
    return table in made or any((table, str(column)) in added for column in columns)


def _table_of(operation: Any) -> str:
    """The table that changes: a foreign key calls it by another name."""
    table: str = getattr(operation, "table_name", None) or operation.source_table
    return table


def _call_by_its_name(operation: Any, context: MigrationContext) -> None:
    """Name a CHECK as the database does: the naming convention makes more of what the revision says."""
    if isinstance(operation, ops.DropConstraintOp):
        found = SchemaObjects(context).generic_constraint(operation.constraint_name, operation.table_name, "check")
    else:
        found = operation.to_constraint(context)
    called = context.dialect.identifier_preparer.format_constraint(found) or ""
    operation.constraint_name = conv(called.strip('"`'))


class _Recorder(Operations):
    """Alembic's `op`, which writes down what it is told."""

    def __init__(self, context: MigrationContext, where: str) -> None:
        super().__init__(context)
        self.found: list[ops.MigrateOperation] = []
        self._where = where

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self.found.append(operation)
        return operation.to_table(self.migration_context) if isinstance(operation, ops.CreateTableOp) else None

    def get_bind(self) -> Connection:
        raise ConfigurationError(
            self._where, "asks the database by op.get_bind()", "Say it as a step: op.execute(…) with one statement"
        )

    def batch_alter_table(self, *args: Any, **kwargs: Any) -> Any:
        raise ConfigurationError(
            self._where, "uses op.batch_alter_table", "Write the steps plainly: where SQLite needs a copy, it is made"
        )


def _context(
    *, connection: Connection | None = None, dialect: Dialect | None = None, buffer: StringIO | None = None
) -> MigrationContext:
    options: dict[str, Any] = {"target_metadata": MetaData(naming_convention=NAMING)}
    if buffer is not None:
        options |= {"as_sql": True, "output_buffer": buffer, "literal_binds": True}
    return MigrationContext.configure(connection=connection, dialect=dialect, opts=options)


# --- in words ---------------------------------------------------------------------------------------------------------


def _words(operation: Any) -> str:  # noqa: PLR0911 - one line for each kind
    match operation:
        case ops.CreateTableOp():
            return f"create table {operation.table_name}"
        case ops.DropTableOp():
            return f"drop table {operation.table_name}"
        case ops.RenameTableOp():
            return f"rename table {operation.table_name} to {operation.new_table_name}"
        case ops.AddColumnOp():
            return f"add column {operation.table_name}.{operation.column.name}"
        case ops.DropColumnOp():
            return f"drop column {operation.table_name}.{operation.column_name}"
        case ops.AlterColumnOp():
            return f"alter column {operation.table_name}.{operation.column_name}{_altered(operation)}"
        case ops.CreateIndexOp():
            return f"create index {operation.index_name}"
        case ops.DropIndexOp():
            return f"drop index {operation.index_name}"
        case ops.AddConstraintOp():
            return f"add constraint {getattr(operation, 'constraint_name', '')}"
        case ops.DropConstraintOp():
            return f"drop constraint {operation.constraint_name}"
        case ops.ExecuteSQLOp():
            return f"execute {' '.join(str(operation.sqltext).split())}"
    return type(operation).__name__.removesuffix("Op")


def _altered(operation: ops.AlterColumnOp) -> str:
    changes = []
    if operation.modify_name is not None:
        changes.append(f"name {operation.modify_name}")
    if operation.modify_type is not None:
        changes.append(f"type {operation.modify_type!r}")
    if operation.modify_nullable is not None:
        changes.append("NULL" if operation.modify_nullable else "NOT NULL")
    if operation.modify_server_default is not False:
        changes.append("default")
    return f": {', '.join(changes)}" if changes else ""


def _breaks(operation: Any) -> str:  # noqa: PLR0911 - one line for each kind
    match operation:
        case ops.DropTableOp() | ops.RenameTableOp():
            return "a table goes that they use"
        case ops.DropColumnOp():
            return "a column goes that they use"
        case ops.AddColumnOp() if not operation.column.nullable and operation.column.server_default is None:
            return "a value is required that they do not give"
        case ops.AlterColumnOp() if operation.modify_name is not None:
            return "a column goes that they use"
        case ops.AlterColumnOp() if operation.modify_type is not None:
            return "a type changes that they rely on"
        case ops.AlterColumnOp() if operation.modify_nullable is False:
            return "a value is required that they may not give"
        case ops.AddConstraintOp():
            return "what they write may be refused"
        case ops.CreateIndexOp() if operation.unique:
            return "what they write may be refused"
        case ops.ExecuteSQLOp() if _DESTROYS.search(str(operation.sqltext)):
            return "something goes that they may use"
    return ""


# --- looking first ----------------------------------------------------------------------------------------------------


def _is_done(operation: Any, live: Inspector) -> bool:  # noqa: PLR0911 - one line for each kind
    match operation:
        case ops.CreateTableOp():
            return operation.table_name in live.get_table_names()
        case ops.DropTableOp():
            return operation.table_name not in live.get_table_names()
        case ops.RenameTableOp():
            return operation.table_name not in live.get_table_names()
        case ops.AddColumnOp():
            return operation.column.name in _columns(live, operation.table_name)
        case ops.DropColumnOp():
            return operation.column_name not in _columns(live, operation.table_name)
        case ops.AlterColumnOp() if operation.modify_name is not None:
            return operation.modify_name in _columns(live, operation.table_name)
        case ops.CreateIndexOp():
            return operation.index_name in _names(live.get_indexes(operation.table_name))
        case ops.DropIndexOp():
            return operation.index_name not in _names(live.get_indexes(str(operation.table_name)))
        case ops.AddConstraintOp():
            constraint: Any = operation.to_constraint(_context(dialect=live.dialect))
            asked = _DROPPABLE.get(str(operation.constraint_type).removesuffix("_constraint"))
            return asked is not None and constraint.name in _names(getattr(live, asked)(constraint.table.name))
        case ops.DropConstraintOp() if operation.constraint_type in _DROPPABLE:
            asked = _DROPPABLE[operation.constraint_type]
            return operation.constraint_name not in _names(getattr(live, asked)(operation.table_name))
    return False


def _columns(live: Inspector, table: str) -> set[str]:
    return _names(live.get_columns(table))


def _names(reflected: Sequence[Any]) -> set[str]:
    return {each["name"] for each in reflected}


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _needs_copy(operation: Any) -> bool:
    """Whether SQLite's ALTER TABLE does not know it."""
    if isinstance(operation, ops.AddColumnOp):
        column: Column[Any] = operation.column
        checked = isinstance(column.type, Enum) and column.type.create_constraint
        bound = bool(column.foreign_keys) or (not column.nullable and column.server_default is None)
        return checked or bound
    return isinstance(operation, ops.DropColumnOp | ops.AlterColumnOp | ops.AddConstraintOp | ops.DropConstraintOp)


def _in_copy(operations: Operations, operation: Any, connection: Connection) -> None:
    """Copy the table into one that has the change."""
    if isinstance(operation, ops.AlterColumnOp) and operation.modify_name is not None:
        quote = connection.dialect.identifier_preparer.quote
        table, old, new = map(quote, (operation.table_name, operation.column_name, operation.modify_name))
        operations.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")  # CHECKs and indexes follow
        return
    name = _table_of(operation)
    with operations.batch_alter_table(name, recreate="always") as batch:
        if isinstance(operation, ops.DropColumnOp):
            for check in inspect(connection).get_check_constraints(name):
                if re.search(rf"\b{re.escape(operation.column_name)}\b", check["sqltext"]):
                    batch.drop_constraint(operations.f(str(check["name"])), type_="check")
        batch.invoke(operation)
