"""A table as data: columns, keys, indexes, checks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, Enum, Index, Table, TextClause, UniqueConstraint

from freehold.inspect.survey import Survey
from freehold.model.service import Service
from freehold.model.soft_refs import soft_ref_of
from freehold.model.type_names import describe_type


def describe_table(survey: Survey, service: Service, table: Table) -> dict[str, Any]:
    """The table as `freehold describe` prints it."""
    return {
        "columns": {column.name: _column(survey, service, column) for column in table.columns},
        "unique": _distinct([*_unique_constraints(table), *(_columns(i) for i in table.indexes if i.unique)]),
        "indexes": _distinct([_columns(index) for index in table.indexes if not index.unique]),
        "checks": sorted(_checks(table)),
    }


def _column(survey: Survey, service: Service, column: Column[Any]) -> dict[str, Any]:
    kind, values = describe_type(column.type)
    soft = soft_ref_of(column)
    return {
        "type": kind,
        **({"values": values} if values is not None else {}),
        "nullable": bool(column.nullable),
        "primary_key": bool(column.primary_key),
        "soft_ref": soft.target if soft else None,
        "foreign_key": _foreign_key(survey, service, column),
    }


def _foreign_key(survey: Survey, service: Service, column: Column[Any]) -> str | None:
    for key in column.foreign_keys:
        target = survey.target(service, key)
        return f"{(target.service or service).name}.{target.table}.{target.column}"
    return None


def _unique_constraints(table: Table) -> list[list[str]]:
    return [[c.name for c in found.columns] for found in table.constraints if isinstance(found, UniqueConstraint)]


def _columns(index: Index) -> list[str]:
    """Column names; an expression by its SQL."""
    return [part.name if isinstance(part, Column) else str(part) for part in index.expressions]


def _checks(table: Table) -> list[str]:
    return [
        str(found.sqltext.compile(compile_kwargs={"literal_binds": True}))
        for found in table.constraints
        if isinstance(found, CheckConstraint) and not _made_by_enum(found)
    ]


def _made_by_enum(check: CheckConstraint) -> bool:
    """Whether it only repeats what an enum column's `values` say."""
    types = [column.type for column in check.columns]
    generated = not isinstance(check.sqltext, TextClause)
    return generated and len(types) == 1 and isinstance(types[0], Enum) and types[0].create_constraint


def _distinct(lists: list[list[str]]) -> list[list[str]]:
    return sorted({tuple(names): names for names in lists}.values())
