"""SQLAlchemy's asyncpg dialect without its JSON codecs.

JSON crosses the driver as text. A new connection then asks the server nothing (which PgBouncer would hand to another
server session), and a payload that is serialised already passes untouched.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler
from sqlalchemy.schema import CreateIndex

from freehold.model.points import PointColumn, has_postgis

CHARACTERISTICS = "freehold.characteristics"


class PointIndexes(PGDDLCompiler):
    """An index on a point is one for areas, where points are PostGIS's."""

    def visit_create_index(self, create: CreateIndex, *args: Any, **options: Any) -> str:
        index = create.element
        columns = list(index.columns)
        if not (has_postgis(self.dialect) and len(columns) == 1 and isinstance(columns[0].type, PointColumn)):
            return str(super().visit_create_index(create, *args, **options))  # type: ignore[no-untyped-call]
        said = index.dialect_options["postgresql"]
        usual, said["using"] = said["using"], "gist"
        try:
            return str(super().visit_create_index(create, *args, **options))  # type: ignore[no-untyped-call]
        finally:
            said["using"] = usual  # the declaration is other engines', too


class PlainJsonDialect(PGDialect_asyncpg):
    """`postgresql+freehold`: SQLAlchemy's JSON types decode the text themselves."""

    driver = "freehold"
    ddl_compiler = PointIndexes
    postgis = False
    """Whether points are PostGIS's in this database."""
    supports_statement_cache = True
    supports_native_json_deserialization = False

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        """None: asyncpg's own is text."""

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        """None: asyncpg's own is text."""

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Remember of the connection that its transaction has settings of its own: `SET TRANSACTION …`."""
        if context is not None and statement.lstrip()[:4].upper() == "SET ":
            context.root_connection.info[CHARACTERISTICS] = True
        cursor.execute(statement, parameters)


def hide_values(error: BaseException | None) -> None:
    """Take out of an error what the server says in detail, which is rows and keys; it goes into logs."""
    while error is not None:
        if getattr(error, "detail", None):
            error.detail = None  # type: ignore[attr-defined]
        error = error.__cause__
