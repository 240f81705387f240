"""Values as rows: what a statement asks for each of them, asked once for all."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Dialect, String, Text, TypeDecorator, bindparam, column
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import TypeEngine


class ListOf(TypeDecorator[list[Any]]):
    """A parameter that is a list: an array on PostgreSQL, elsewhere one JSON text.

    Its items go as their own type gives them to the driver.
    """

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """An array of the items' type, or text."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(self.item, dimensions=1))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        """The list itself where the driver takes lists."""
        if value is None or dialect.name == "postgresql":
            return value
        process = self.item.dialect_impl(dialect).bind_processor(dialect)
        return json.dumps([process(item) for item in value] if process else value, default=str)


class _Rows(FunctionElement[Any]):
    """A list parameter as a table of one column."""

    name = "unnest"
    inherit_cache = True


@compiles(_Rows, "sqlite")
def _from_json(element: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clause_expr.element, **options)})"


@compiles(_Rows, "mysql")
def _from_json_table(element: _Rows, compiler: Any, **options: Any) -> str:
    parameter: Any = element.clauses.clauses[0]
    item = parameter.type.item.dialect_impl(compiler.dialect)
    kind = compiler.dialect.type_compiler_instance.process(item)
    if isinstance(item, String):
        kind += f" CHARACTER SET utf8mb4 COLLATE {compiler.dialect.collation}"
    text = compiler.process(parameter, **options)
    return f"JSON_TABLE({text}, '$[*]' COLUMNS (value {kind} PATH '$' ERROR ON ERROR))"


@compiles(_Rows)
def _from_array(element: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"unnest({compiler.process(element.clause_expr.element, **options)})"


def listed(values: Collection[Any], like: ColumnElement[Any] | InstrumentedAttribute[Any]) -> TableValuedAlias:
    """A table with the column `value`, a row for each of the values; the statement is one for any number of them.

        user = listed(users, like=Order.user_id)
        spent = select(func.sum(Order.total)).where(Order.user_id == user.c.value).scalar_subquery()
        await tx.execute(select(user.c.value, spent))

    Args:
        values: of the column's type; they may repeat, and then their rows do.
        like: the column that they are compared with.
    """
    parameter = bindparam("listed", list(values), ListOf(like.type), unique=True)
    # The alias is named as its column, because PostgreSQL names the column of such a function after the alias.
    return _Rows(parameter).table_valued(column("value", like.type), name="value")
