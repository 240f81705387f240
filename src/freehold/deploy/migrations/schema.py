"""Tables as they are declared and as a database has them, in one form, and how the two differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Inspector,
    MetaData,
    Table,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.exc import CompileError

Columns = tuple[str, ...]
_UNKNOWN = "?"
_SYNONYMS: Mapping[str, Mapping[str, str]] = {
    "mysql": {"tinyint": "bool", "json": "longtext", "integer": "int", "numeric": "decimal", "float": "double"},
    "postgresql": {"float": "double precision", "integer": "int", "decimal": "numeric"},
    "sqlite": {},
}


@dataclass(frozen=True, slots=True)
class TableShape:
    """What of a table can be compared: names and types as the database spells them."""

    columns: Mapping[str, tuple[str, bool]]
    """By name the type, and whether NULL may be in it."""
    primary_key: Columns = ()
    uniques: Mapping[Columns, str] = field(default_factory=dict)
    """By columns the name; unique indexes over all rows among them."""
    unique_indexes: frozenset[str] = frozenset()
    indexes: Mapping[str, Columns] = field(default_factory=dict)
    """By name the columns; unique indexes over a part of the rows among them."""
    foreign_keys: Mapping[tuple[Columns, str, Columns], str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    """By name the condition; empty where servers spell it in their own way."""


Shapes = Mapping[str, TableShape]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a database is not what is declared.

    Args:
        kind: `missing` is declared only, `extra` is in the database only, `other` is in both and not the same.
        part: table, column, type, null, primary key, unique, index, foreign key or check.
        table: its name.
        name: of the part; of a unique or foreign key its columns.
        detail: what is declared and what is there, where that is not clear.
        called: what a unique or foreign key is called in the database.
        is_index: whether a unique key is one that was made as an index.
        condition: that is declared, of a check.
    """

    kind: Literal["missing", "extra", "other"]
    part: str
    table: str
    name: str = ""
    detail: str = ""
    called: str = ""
    is_index: bool = False
    condition: str = ""

    def __str__(self) -> str:
        what = f"{self.table}.{self.name}" if self.part in ("column", "type", "null") else self.table
        named = f" {self.name}" if self.name and what == self.table else ""
        told = f" ({self.detail})" if self.detail else ""
        return f"{self.kind} {self.part}{named}: {what}{told}" if named else f"{self.kind} {self.part}: {what}{told}"


def differences(declared: Shapes, live: Shapes) -> Iterator[Difference]:
    """How the database differs from what is declared, by table."""
    for name in sorted(declared.keys() | live.keys()):
        if name not in live:
            yield Difference("missing", "table", name)
        elif name not in declared:
            yield Difference("extra", "table", name)
        else:
            yield from _of_table(name, declared[name], live[name])


def _of_table(table: str, declared: TableShape, live: TableShape) -> Iterator[Difference]:
    yield from _of_names(table, "column", declared.columns, live.columns)
    for name in sorted(declared.columns.keys() & live.columns.keys()):
        (kind, nullable), (other, may) = declared.columns[name], live.columns[name]
        if kind != other and _UNKNOWN not in (kind, other):
            yield Difference("other", "type", table, name, f"declared {kind}, there {other}")
        if nullable != may:
            yield Difference("other", "null", table, name, f"declared {_null(nullable)}, there {_null(may)}")
    if declared.primary_key != live.primary_key:
        there = ", ".join(live.primary_key) or "none"
        yield Difference("other", "primary key", table, ", ".join(declared.primary_key), f"there {there}")
    yield from _of_keys(table, declared, live)
    yield from _of_names(table, "index", declared.indexes, live.indexes)
    for name in sorted(declared.indexes.keys() & live.indexes.keys()):
        if declared.indexes[name] != live.indexes[name]:
            yield Difference("other", "index", table, name, f"there on {', '.join(live.indexes[name])}")
    for name in sorted(declared.checks.keys() | live.checks.keys()):
        mine, theirs = declared.checks.get(name), live.checks.get(name)
        if theirs is None:
            yield Difference("missing", "check", table, name, condition=mine or "")
        elif mine is None:
            yield Difference("extra", "check", table, name)
        elif mine != theirs:
            yield Difference("other", "check", table, name, f"there {theirs}", condition=mine)


def _of_keys(table: str, declared: TableShape, live: TableShape) -> Iterator[Difference]:
    for columns in sorted(declared.uniques.keys() - live.uniques.keys()):
        yield Difference("missing", "unique", table, ", ".join(columns))
    for columns in sorted(live.uniques.keys() - declared.uniques.keys()):
        called = live.uniques[columns]
        yield Difference("extra", "unique", table, ", ".join(columns), "", called, called in live.unique_indexes)
    for key in sorted(declared.foreign_keys.keys() - live.foreign_keys.keys()):
        yield Difference("missing", "foreign key", table, _key(key))
    for key in sorted(live.foreign_keys.keys() - declared.foreign_keys.keys()):
        yield Difference("extra", "foreign key", table, _key(key), "", live.foreign_keys[key])


def _of_names(table: str, part: str, declared: Iterable[str], live: Iterable[str]) -> Iterator[Difference]:
    yield from (Difference("missing", part, table, name) for name in sorted(set(declared) - set(live)))
    yield from (Difference("extra", part, table, name) for name in sorted(set(live) - set(declared)))


def _key(key: tuple[Columns, str, Columns]) -> str:
    own, table, others = key
    return f"{', '.join(own)} to {table} ({', '.join(others)})"


def _null(nullable: bool) -> str:
    return "NULL" if nullable else "NOT NULL"


# --- declared ---------------------------------------------------------------------------------------------------------


def declared_shapes(metadata: MetaData, dialect: Dialect) -> Shapes:
    """The tables of a metadata, as this dialect makes them."""
    return {table.name: _declared(table, dialect) for table in metadata.sorted_tables}


def _declared(table: Table, dialect: Dialect) -> TableShape:
    constraints = table.constraints
    keys = [each for each in constraints if isinstance(each, ForeignKeyConstraint)]
    uniques = {_columns(each): str(each.name or "") for each in constraints if isinstance(each, UniqueConstraint)}
    whole = {_columns(index): str(index.name) for index in table.indexes if index.unique and not _is_partial(index)}
    return TableShape(
        columns={column.name: (_type(column, dialect), bool(column.nullable)) for column in table.columns},
        primary_key=tuple(column.name for column in table.primary_key.columns),
        uniques={**uniques, **whole},
        unique_indexes=frozenset(whole.values()),
        indexes={str(i.name): _expressions(i) for i in table.indexes if not i.unique or _is_partial(i)},
        foreign_keys={(_columns(key), key.referred_table.name, _referred(key)): str(key.name or "") for key in keys},
        checks={
            name: _condition(spelled_by(dialect, each.sqltext), dialect)
            for each in constraints
            if isinstance(each, CheckConstraint) and (name := check_name(each, dialect))
        },
    )


def check_name(check: CheckConstraint, dialect: Dialect) -> str:
    """What a CHECK is called in the database; empty when the database chooses."""
    return (dialect.identifier_preparer.format_constraint(check) or "").strip('"`')


def spelled_by(dialect: Dialect, condition: ColumnElement[Any]) -> str:
    """The SQL of a CHECK's condition."""
    return str(condition.compile(dialect=dialect, compile_kwargs={"literal_binds": True, "include_table": False}))


def _type(column: Column[Any], dialect: Dialect) -> str:
    return _normal(dialect.type_compiler_instance.process(column.type, type_expression=column), dialect)


def _columns(part: Any) -> Columns:
    return tuple(sorted(column.name for column in part.columns))


def _expressions(index: Index) -> Columns:
    """Columns, without the direction in which they are sorted: not every database tells it."""
    spelled = (each.name if isinstance(each, Column) else str(each) for each in index.expressions)
    return tuple(each.split()[0].rpartition(".")[2] for each in spelled)


def _referred(key: ForeignKeyConstraint) -> Columns:
    return tuple(element.column.name for element in key.elements)


def _is_partial(index: Index) -> bool:
    return any(index.dialect_options[name].get("where") is not None for name in ("postgresql", "sqlite"))


# --- live -------------------------------------------------------------------------------------------------------------


def live_shapes(connection: Connection) -> Shapes:
    """The tables that are in the database."""
    found = inspect(connection)
    return {name: _live(name, found, connection.dialect) for name in found.get_table_names()}


def _live(table: str, found: Inspector, dialect: Dialect) -> TableShape:
    constraints = found.get_unique_constraints(table)
    named = {str(each["name"]) for each in constraints}
    uniques = {tuple(sorted(each["column_names"])): str(each["name"] or "") for each in constraints}
    indexes: dict[str, Columns] = {}
    flags, made = set(), set()
    foreign_keys = found.get_foreign_keys(table)
    keys = {key["name"] for key in foreign_keys}  # of which MySQL makes indexes where there are none
    for index in found.get_indexes(table):
        name, columns = str(index["name"]), tuple(each or "" for each in index["column_names"])
        flag = f"{name}_if"  # MySQL's spelling of a unique index on a part of the rows
        if flag in columns:
            flags.add(flag)
            uniques.pop(tuple(sorted(columns)), None)
            indexes[name] = tuple(each for each in columns if each != flag)
        elif index["unique"] and not any(key.endswith("_where") for key in index.get("dialect_options", ())):
            if name not in named:
                uniques[tuple(sorted(columns))] = name
                made.add(name)
        elif name not in keys:
            indexes[name] = columns
    return TableShape(
        columns={
            column["name"]: (_live_type(column["type"], dialect), bool(column["nullable"]))
            for column in found.get_columns(table)
            if column["name"] not in flags
        },
        primary_key=tuple(found.get_pk_constraint(table)["constrained_columns"]),
        uniques=uniques,
        unique_indexes=frozenset(made),
        indexes=indexes,
        foreign_keys={
            (tuple(sorted(key["constrained_columns"])), key["referred_table"], tuple(key["referred_columns"])): str(
                key["name"] or ""
            )
            for key in foreign_keys
        },
        checks={
            str(check["name"]): _condition(check["sqltext"], dialect)
            for check in found.get_check_constraints(table)
            if check["name"] and "json_valid" not in check["sqltext"]  # MariaDB's own, of every JSON column
        },
    )


def _live_type(kind: Any, dialect: Dialect) -> str:
    try:
        return _normal(dialect.type_compiler_instance.process(kind), dialect)
    except CompileError:  # a type that SQLAlchemy does not know, like an extension's
        return _UNKNOWN


# --- spelling ---------------------------------------------------------------------------------------------------------


def _normal(spelled: str, dialect: Dialect) -> str:
    """A type without what is the same everywhere: collation, display widths, synonyms."""
    if "GEOGRAPHY" in spelled:
        return _UNKNOWN
    text = re.sub(r"\s+(CHARACTER SET|COLLATE)\s+\S+", "", spelled).lower().replace(", ", ",")
    if dialect.name == "mysql":
        text = re.sub(r"\b(tinyint|smallint|bigint|int|integer)\(\d+\)", r"\1", text)
    word, *rest = re.split(r"(?=\()|\s", text, maxsplit=1)
    synonym = _SYNONYMS[dialect.name].get(word, word)
    return f"{synonym}{text[len(word) :]}" if rest else synonym


def _condition(text: str, dialect: Dialect) -> str:
    """Servers rewrite a condition; SQLite keeps it."""
    return " ".join(text.split()) if dialect.name == "sqlite" else ""
