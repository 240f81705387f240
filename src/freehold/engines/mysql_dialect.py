"""SQLAlchemy's asyncmy dialect, with sessions that mean what the other engines' mean.

Transactions are begun and ended by the pool. Types, collation and comparisons are exact whatever the server's defaults
are, and errors carry no values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from asyncmy.errors import Error
from sqlalchemy import Column, ForeignKeyConstraint, Integer, UniqueConstraint, Uuid
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.dialects.mysql.mysqldb import MySQLCompiler_mysqldb
from sqlalchemy.dialects.mysql.reflection import MySQLTableDefinitionParser
from sqlalchemy.schema import CreateIndex, CreateTable, Index, Table
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Tuple
from sqlalchemy.sql.selectable import ScalarSelect
from sqlalchemy.util import memoized_property

from freehold.engines.mysql_assignments import refuse_sequence
from freehold.engines.mysql_errors import heard
from freehold.model.errors import ConfigurationError

FAILED = "freehold.failed"
"""In a connection's info: a statement of its transaction failed."""
GUARDED = "freehold.guarded"
"""An execution option: the statement refuses rows that meet another unique key by a NULL where none may be."""
TOUCHED = "freehold.touched"
"""In a connection's info: its session has settings of its own, and must not run another transaction."""

OLDEST = {True: (10, 6), False: (8, 0, 19)}
"""The oldest version, of MariaDB or not, that has JSON_TABLE, SKIP LOCKED and a collation that compares exactly."""
_COLLATION = {True: "utf8mb4_nopad_bin", False: "utf8mb4_0900_bin"}
_SQL_MODE = (
    "STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION,PIPES_AS_CONCAT,ANSI_QUOTES"
)
_STRICTER = operators.gt, operators.lt


class CreateWholeTable(CreateTable):
    """CREATE TABLE with its indexes in the same statement: DDL commits by itself, and must not stop half-way."""

    __visit_name__ = "create_whole_table"


KEYED_TEXT = 255
"""Characters of a text whose declaration does not limit it and which is part of a key or an index."""


class ExactTypeCompiler(MySQLTypeCompiler):
    """Types without the limits that nobody asked for."""

    def visit_uuid(self, type_: Any, **kw: Any) -> str:
        """Digits: MariaDB's own type refuses some values, and an application's sessions shall read them too."""
        return "CHAR(32) CHARACTER SET ascii COLLATE ascii_bin"

    def visit_VARCHAR(self, type_: Any, **kw: Any) -> str:
        return str(super().visit_VARCHAR(type_, **kw)) if type_.length else self._unlimited(**kw)

    def visit_TEXT(self, type_: Any, **kw: Any) -> str:
        return str(super().visit_TEXT(type_, **kw)) if type_.length else self._unlimited(**kw)

    def _unlimited(self, type_expression: Any = None, **_: Any) -> str:
        """Text of any length, except where it is compared by an index, whose entries are limited."""
        keyed = isinstance(type_expression, Column) and _is_keyed(type_expression)
        return f"VARCHAR({KEYED_TEXT})" if keyed else "LONGTEXT"

    def visit_BLOB(self, type_: Any, **kw: Any) -> str:
        return "LONGBLOB" if type_.length is None else str(super().visit_BLOB(type_, **kw))

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:
        return "DOUBLE" if type_.precision is None else str(super().visit_FLOAT(type_, **kw))

    def visit_DATETIME(self, type_: Any, **kw: Any) -> str:
        fraction = getattr(type_, "fsp", None)
        return f"DATETIME({6 if fraction is None else fraction})"

    def visit_TIME(self, type_: Any, **kw: Any) -> str:
        fraction = getattr(type_, "fsp", None)
        return f"TIME({6 if fraction is None else fraction})"


class ExactCompiler(MySQLCompiler_mysqldb):
    """Expressions that give what they give elsewhere."""

    def visit_now_func(self, fn: Any, **kw: Any) -> str:
        return "NOW(6)"

    def visit_sum_func(self, fn: Any, **kw: Any) -> str:
        text = f"sum({self.process(fn.clause_expr.element, **kw)})"
        return (
            f"CAST({text} AS SIGNED)" if isinstance(fn.type, Integer) else text
        )  # else a sum of integers is a decimal

    def visit_binary(self, binary: Any, *args: Any, **kw: Any) -> str:
        left, right = binary.left, binary.right
        if _is_of_some(binary):
            among = "IN" if binary.operator is operators.in_op else "NOT IN"
            return " ".join([self.process(left, **kw), among, "(SELECT * FROM", self.process(right, **kw), "AS some)"])
        if binary.operator in _STRICTER and isinstance(left, Tuple) and isinstance(right, Tuple):
            return self._row_comparison(binary.operator, list(left.clauses), list(right.clauses), **kw)
        return str(super().visit_binary(binary, *args, **kw))  # type: ignore[no-untyped-call]

    def visit_update(self, update_stmt: Any, *args: Any, **kw: Any) -> str:
        if not self.dialect.is_mariadb:
            values = update_stmt._values or {}
            given = {getattr(column, "key", column): value for column, value in values.items()}
            own = [column.key for column in update_stmt.table.columns if column.key in given]
            order = list(given) if update_stmt._maintain_values_ordering else own
            refuse_sequence((name, given[name]) for name in order)
        return str(super().visit_update(_joined(update_stmt), *args, **kw))

    def visit_on_duplicate_key_update(self, on_duplicate: Any, **kw: Any) -> str:
        if not self.dialect.is_mariadb:
            order = on_duplicate._parameter_ordering or list(on_duplicate.update)
            refuse_sequence((name, on_duplicate.update[name]) for name in order)
        return str(super().visit_on_duplicate_key_update(on_duplicate, **kw))

    def visit_delete(self, delete_stmt: Any, *args: Any, **kw: Any) -> str:
        return str(super().visit_delete(_joined(delete_stmt), *args, **kw))  # type: ignore[no-untyped-call]

    def _row_comparison(self, operator: Any, left: list[Any], right: list[Any], **kw: Any) -> str:
        """(a, b) > (x, y), spelled so that an index on a and b serves it."""
        compared = operator(left[-1], right[-1])
        for one, other in list(zip(left, right, strict=True))[-2::-1]:
            either = operators.ge if operator is operators.gt else operators.le
            compared = either(one, other) & (operator(one, other) | compared)
        return f"({self.process(compared, **kw)})"


def _is_of_some(condition: Any) -> bool:
    """Whether it asks for what is IN a SELECT with a LIMIT, which these servers do only if it stands in a FROM."""
    operator, right = getattr(condition, "operator", None), getattr(condition, "right", None)
    if operator not in (operators.in_op, operators.not_in_op) or not isinstance(right, ScalarSelect):
        return False
    return getattr(right.element, "_limit_clause", None) is not None


def _joined(statement: Any) -> Any:
    """An UPDATE or DELETE of the rows that are in such a SELECT, as a join with it: else it reads the whole table."""
    criteria = statement._where_criteria
    if not any(map(_is_of_some, criteria)):
        return statement
    statement = statement._clone()
    statement._where_criteria = tuple(
        each.left == each.right.element.subquery().c[0]
        if _is_of_some(each) and each.operator is operators.in_op
        else each
        for each in criteria
    )
    return statement


class ExactDDLCompiler(MySQLDDLCompiler):
    """Tables in one collation; unique indexes on part of a table's rows."""

    _whole = False

    def visit_create_whole_table(self, create: CreateWholeTable, **kw: Any) -> str:
        self._whole = True
        return str(self.visit_create_table(create, **kw))  # type: ignore[no-untyped-call]

    def create_table_constraints(self, table: Any, *args: Any, **kw: Any) -> str:
        lines = [str(super().create_table_constraints(table, *args, **kw))]  # type: ignore[no-untyped-call]
        if self._whole:
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                lines += self._index_lines(index)
        return ", \n\t".join(line for line in lines if line)

    def post_create_table(self, table: Table) -> str:
        options = super().post_create_table(table)
        return f"{options} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={_COLLATION[self.dialect.is_mariadb]}"

    def visit_create_index(self, create: CreateIndex, *args: Any, **kw: Any) -> str:
        index = create.element
        if not _is_partly_unique(index):
            return str(super().visit_create_index(create, *args, **kw))
        column, unique = self._index_lines(index)
        return f"ALTER TABLE {self.preparer.format_table(cast('Table', index.table))} ADD COLUMN {column}, ADD {unique}"

    def _index_lines(self, index: Index) -> list[str]:
        """What defines the index inside CREATE TABLE."""
        # Of "CREATE UNIQUE INDEX name ON table (columns) …" that is everything but CREATE and the table.
        spelled = str(super().visit_create_index(CreateIndex(index)))
        name = f"INDEX {self._prepared_index_name(index)} "
        kind, _, rest = spelled.removeprefix("CREATE ").partition(name)
        columns = rest.partition("(")[2]
        if not _is_partly_unique(index):
            return [f"{kind}{name}({columns}"]
        # NULL is equal to nothing: rows without the flag do not count.
        where = self.sql_compiler.process(_condition(index), include_table=False, literal_binds=True)
        flag = self.preparer.quote(f"{index.name}_if")
        defined = f"{flag} TINYINT GENERATED ALWAYS AS (CASE WHEN {where} THEN 1 END) VIRTUAL INVISIBLE"
        return [defined, f"{kind}{name}({flag}, {columns}"]


def _is_keyed(column: Column[Any]) -> bool:
    table = column.table
    constrained = [each for each in table.constraints if isinstance(each, UniqueConstraint | ForeignKeyConstraint)]
    parts = [table.primary_key, *constrained, *table.indexes]
    return any(column in part.columns.values() for part in parts)


def _condition(index: Index) -> Any:
    wheres = [index.dialect_options[name].get("where") for name in ("postgresql", "sqlite")]
    return next((where for where in wheres if where is not None), None)


def _is_partly_unique(index: Index) -> bool:
    return bool(index.unique) and _condition(index) is not None


class ServerDialect(MySQLDialect_asyncmy):
    """`mysql+freehold`: see the module."""

    driver = "freehold"
    supports_statement_cache = True
    statement_compiler = ExactCompiler
    ddl_compiler = ExactDDLCompiler
    type_compiler_cls = ExactTypeCompiler

    @property
    def collation(self) -> str:
        """Compares bytes, trailing spaces included."""
        return _COLLATION[self.is_mariadb]

    def _set_mariadb(self, is_mariadb: bool | None, server_version_info: tuple[int, ...]) -> None:
        super()._set_mariadb(is_mariadb, server_version_info)
        self.colspecs = {kind: impl for kind, impl in self.colspecs.items() if kind is not Uuid}

    def initialize(self, connection: Any) -> None:
        super().initialize(connection)
        self.supports_native_uuid = False
        oldest = OLDEST[self.is_mariadb]
        if self.server_version_info < oldest:
            raise ConfigurationError(
                "database",
                f"the server is {'MariaDB' if self.is_mariadb else 'MySQL'} {_dotted(self.server_version_info)}",
                f"Use MariaDB {_dotted(OLDEST[True])} or MySQL {_dotted(OLDEST[False])}, or newer",
            )

    @memoized_property
    def _tabledef_parser(self) -> MySQLTableDefinitionParser:
        """Reads SHOW CREATE TABLE, which quotes names as our sessions say: that was unknown at the first connection."""
        return MySQLTableDefinitionParser(self, self.preparer(self, server_ansiquotes=True))

    # --- transactions are the pool's ----------------------------------------------------------------------------------

    def do_begin(self, dbapi_connection: Any) -> None:
        """None."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """None."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """None."""

    def do_rollback_to_savepoint(self, connection: Any, name: str) -> None:
        """What failed since then is undone."""
        super().do_rollback_to_savepoint(connection, name)  # type: ignore[no-untyped-call]
        connection.info.pop(FAILED, None)

    # --- statements ---------------------------------------------------------------------------------------------------

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run one, and remember of the connection what it left behind."""
        if context is not None and statement.lstrip()[:4].upper() == "SET ":
            context.root_connection.info[TOUCHED] = True
        self._watch(context, lambda: cursor.execute(statement, parameters))

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        """Run one."""
        self.do_execute(cursor, statement, None, context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run one with many rows."""
        self._watch(context, lambda: cursor.executemany(statement, parameters))

    def _watch(self, context: Any, run: Callable[[], object]) -> None:
        try:
            run()
        except Error as error:
            if context is not None:
                context.root_connection.info[FAILED] = True
            guarded = context is not None and context.execution_options.get(GUARDED)
            raise heard(error, guarded=bool(guarded)) from None


def session_settings(is_mariadb: bool, lock_timeout: float) -> str:
    """The statement that makes a session ours. `lock_timeout` is in seconds, of which the server knows whole ones."""
    isolation = "tx_isolation" if is_mariadb else "transaction_isolation"
    seconds = max(1, round(lock_timeout))
    # On MariaDB, too, what an UPDATE computes is computed of the row as it was.
    mode = f"{_SQL_MODE},SIMULTANEOUS_ASSIGNMENT" if is_mariadb else _SQL_MODE
    return (
        f"SET NAMES utf8mb4 COLLATE {_COLLATION[is_mariadb]}, {isolation} = 'READ-COMMITTED', "
        f"sql_mode = '{mode}', time_zone = '+00:00', autocommit = 0, "
        f"innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}, "
        "sql_notes = 0, max_error_count = 0"  # the driver writes warnings into the log, with the values in them
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
