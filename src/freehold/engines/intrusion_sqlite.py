"""Another's SQLite file, seen with a service's own connection."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.util import greenlet_spawn

from freehold.engines.intrusion import Breach, Home, Refused
from freehold.engines.sqlite_dialect import InlineConnection, connect

_BUSY_SECONDS = 5.0


@asynccontextmanager
async def enter(url: URL) -> AsyncGenerator[SqliteSession, None]:
    """A connection as the engine opens them. Raises Refused when there is no such file."""
    connection = await greenlet_spawn(_open, url.database or "")
    try:
        yield SqliteSession(connection)
    finally:
        connection.close()


def _open(path: str) -> InlineConnection:
    if not Path(path).is_file():
        raise Refused(f"there is no file {path}")
    return connect(path, writes=True, busy_timeout=_BUSY_SECONDS)


class SqliteSession:
    """Tries to attach the file; nothing else leads from one to another."""

    def __init__(self, connection: InlineConnection) -> None:
        self._connection = connection

    async def look(self, service: str, url: URL) -> Home:
        file = os.stat(url.database or "")  # the same by whatever link it is reached
        rows = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        tables = {name: "rowid" for (name,) in rows if not name.startswith("sqlite_")}
        return Home(service, url, "sqlite", "", f"{file.st_dev}:{file.st_ino}", "", tables)

    async def account(self, own: Home, others: Sequence[Home]) -> list[Breach]:
        return []

    async def attempt(self, own: Home, other: Home) -> list[Breach]:
        try:
            self._connection.execute("ATTACH DATABASE ? AS other", (other.url.database,))
        except sqlite3.Error:
            return []
        self._connection.execute("DETACH DATABASE other")
        return [Breach("entered", own.service, str(other.url.database), ("ATTACH",), other.service)]
