"""SQLAlchemy's asyncpg dialect without its JSON codecs.

JSON crosses the driver as text. A new connection then asks the server nothing (which PgBouncer would hand to another
server session), and a payload that is serialised already passes untouched.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg


class PlainJsonDialect(PGDialect_asyncpg):
    """`postgresql+freehold`: SQLAlchemy's JSON types decode the text themselves."""

    driver = "freehold"
    supports_statement_cache = True
    supports_native_json_deserialization = False

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        """None: asyncpg's own is text."""

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        """None: asyncpg's own is text."""
