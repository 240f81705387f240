"""From differences to the operations that make them go, those that can run beside the version before first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Enum,
    ForeignKeyConstraint,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.schema import Index
from sqlalchemy.sql.elements import conv

from freehold.deploy.migrations.history import History
from freehold.deploy.migrations.schema import Difference, check_name
from freehold.deploy.migrations.steps import steps_of

_CONSTRAINTS = {"check": "check", "unique": "unique", "index": "", "foreign key": "foreignkey"}


class AddCheck(ops.CreateCheckConstraintOp):
    """A CHECK whose condition is the declared one, which databases may spell differently.

    A class of its own, because Alembic lets nobody else say how its operation is written.
    """

    condition: ColumnElement[Any]


def operations(found: Sequence[Difference], declared: MetaData) -> Iterator[ops.MigrateOperation]:
    """In an order in which each can be done: nothing new stands on what is gone, and nothing goes that is stood on."""
    new = {each.table for each in found if each.part == "table" and each.kind == "missing"}
    for table in declared.sorted_tables:
        if table.name in new:
            yield ops.CreateTableOp.from_table(table)
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                yield ops.CreateIndexOp.from_index(index)
    # Tables that refer to each other get these once all are there. SQLite has them already, from CREATE TABLE.
    made = (declared.tables[name] for name in sorted(new))
    circular = (key for table in made for key in table.foreign_key_constraints if key.use_alter)
    yield from (ops.CreateForeignKeyOp.from_constraint(key) for key in circular)
    columns = [each for each in found if each.part in ("column", "type", "null")]
    added = {(each.table, each.name) for each in columns if each.kind == "missing"}
    parts = [each for each in found if each.part in _CONSTRAINTS and not _comes_with(each, declared, added)]
    yield from (_column(each, declared.tables[each.table]) for each in columns if each.kind != "extra")
    yield from (_dropped(each) for each in parts if each.kind != "missing")
    yield from (_added(each, declared.tables[each.table]) for each in parts if each.kind != "extra")
    yield from (ops.DropColumnOp(each.table, each.name) for each in columns if each.kind == "extra")
    yield from (ops.DropTableOp(each.table) for each in found if each.part == "table" and each.kind == "extra")


def apart(
    found: Sequence[ops.MigrateOperation], history: History
) -> tuple[list[ops.MigrateOperation], list[ops.MigrateOperation]]:
    """Those that can run beside the version before, and those that must wait until it is gone."""
    expanding: list[ops.MigrateOperation] = []
    contracting: list[ops.MigrateOperation] = []
    for step in steps_of(found):
        operation = step.operation
        if not step.breaks:
            expanding.append(operation)
            continue
        if isinstance(operation, ops.AddColumnOp):
            column = operation.column
            plain = Column(column.name, column.type, nullable=True)
            expanding.append(ops.AddColumnOp(operation.table_name, plain))
            operation = ops.AlterColumnOp(
                operation.table_name, column.name, existing_type=column.type, modify_nullable=False
            )
        elif isinstance(operation, ops.DropColumnOp):
            former = _former(history, operation.table_name, operation.column_name)
            if former is not None and not former.nullable and former.server_default is None:
                expanding.append(
                    ops.AlterColumnOp(
                        operation.table_name, former.name, existing_type=former.type, modify_nullable=True
                    )
                )
        contracting.append(operation)
    return expanding, contracting


def _former(history: History, table: str, name: str) -> Column[Any] | None:
    """A column as the history made it."""
    found: Column[Any] | None = None
    for revision in history.revisions:
        for step in revision.steps(SQLiteDialect(), history.names):
            operation = step.operation
            if isinstance(operation, ops.CreateTableOp) and operation.table_name == table:
                columns = [each for each in operation.columns if isinstance(each, Column)]
                found = next((each for each in columns if each.name == name), found)
            elif isinstance(operation, ops.AddColumnOp) and (operation.table_name, operation.column.name) == (
                table,
                name,
            ):
                found = operation.column
            elif isinstance(operation, ops.AlterColumnOp) and (operation.table_name, operation.column_name) == (
                table,
                name,
            ):
                found = _altered(found, operation)
    return found


def _altered(column: Column[Any] | None, operation: ops.AlterColumnOp) -> Column[Any] | None:
    if column is None:
        return None
    nullable = column.nullable if operation.modify_nullable is None else operation.modify_nullable
    kind = operation.modify_type if operation.modify_type is not None else column.type
    return Column(column.name, kind, nullable=nullable, server_default=column.server_default)


def _comes_with(found: Difference, declared: MetaData, added: set[tuple[str, str]]) -> bool:
    """Whether it is the CHECK of an enum column that is added itself."""
    if found.part != "check" or found.kind != "missing":
        return False
    columns = declared.tables[found.table].columns
    types = [column.type for column in columns if (found.table, column.name) in added]
    return any(found.name == f"ck_{found.table}_{kind.name}" for kind in types if isinstance(kind, Enum))


def _column(found: Difference, table: Table) -> ops.MigrateOperation:
    column = table.columns[found.name]
    if found.part == "column":
        default = column.server_default
        plain: Column[Any] = Column(
            column.name, column.type, nullable=column.nullable, server_default=getattr(default, "arg", None)
        )
        return ops.AddColumnOp(table.name, plain)
    if found.part == "null":
        return ops.AlterColumnOp(
            table.name, column.name, existing_type=column.type, modify_nullable=bool(column.nullable)
        )
    return ops.AlterColumnOp(table.name, column.name, modify_type=column.type, existing_nullable=bool(column.nullable))


def _dropped(found: Difference) -> ops.MigrateOperation:
    if found.part == "index" or found.is_index:
        return ops.DropIndexOp(found.called or found.name, found.table)
    return ops.DropConstraintOp(conv(found.called or found.name), found.table, type_=_CONSTRAINTS[found.part])


def _added(found: Difference, table: Table) -> ops.MigrateOperation:
    wanted = _declared(found, table)
    if isinstance(wanted, Index):
        return ops.CreateIndexOp.from_index(wanted)
    if found.part == "check":
        return AddCheck(conv(found.name), table.name, wanted.sqltext)
    return ops.AddConstraintOp.from_constraint(wanted)


def _declared(found: Difference, table: Table) -> Any:
    """The constraint or the index that the difference is about."""
    if found.part == "index":
        return next(each for each in table.indexes if each.name == found.name)
    if found.part == "check":
        checks = (each for each in table.constraints if isinstance(each, CheckConstraint))
        return next(each for each in checks if check_name(each, SQLiteDialect()) == found.name)
    kind = UniqueConstraint if found.part == "unique" else ForeignKeyConstraint
    columns = set(found.name.partition(" to ")[0].split(", "))
    parts = [*(each for each in table.constraints if isinstance(each, kind)), *(i for i in table.indexes if i.unique)]
    return next(each for each in parts if set(each.columns.keys()) == columns)
