"""The pool on asyncmy."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from freehold.engines.mysql_dialect import FAILED, TOUCHED
from freehold.engines.mysql_errors import UNREACHABLE, code
from freehold.engines.pool import TransactionPool, info_of
from freehold.engines.prepared import driver_of
from freehold.model.errors import DatabaseUnavailable

BEGIN = "START TRANSACTION"
BEGIN_READ_ONLY = "START TRANSACTION READ ONLY"
LOCKED = "freehold.locked"
"""In a connection's info: it holds named locks, which are the session's and must end with the transaction."""
_IN_TRANSACTION = 1  # SERVER_STATUS_IN_TRANS


class MysqlPool(TransactionPool):
    """Its sessions are not in autocommit: after a deadlock, which ends the transaction, nothing commits by itself.

    Args:
        connect_timeout: seconds for a connection to be there, its session set up.
    """

    def __init__(
        self, engine: AsyncEngine, *, size: int, overflow: int, timeout: float, idle: float, connect_timeout: float
    ) -> None:
        super().__init__(engine, size=size, overflow=overflow, timeout=timeout, idle=idle)
        self._connect_timeout = connect_timeout
        # SQLAlchemy forgets the driver's connection of one that was cancelled.
        self._drivers: WeakKeyDictionary[AsyncConnection, Any] = WeakKeyDictionary()

    async def _open_connection(self) -> AsyncConnection:
        try:
            async with asyncio.timeout(self._connect_timeout):
                connection = await super()._open_connection()
        except TimeoutError:
            raise DatabaseUnavailable(f"no connection within {self._connect_timeout:g} seconds") from None
        except DBAPIError as error:
            if error.orig is not None and code(error.orig) in UNREACHABLE:
                raise DatabaseUnavailable(f"no connection: {error.orig}") from error
            raise
        self._drivers[connection] = driver_of(connection)
        return connection

    async def _say(self, connection: AsyncConnection, statement: str) -> None:
        await driver_of(connection).query(statement)
        info = info_of(connection)
        info.pop(FAILED, None)
        if info.pop(LOCKED, False):
            await driver_of(connection).query("DO RELEASE_ALL_LOCKS()")

    async def _say_commit(self, connection: AsyncConnection, *, chain: bool) -> bool:
        end = "ROLLBACK" if FAILED in info_of(connection) else "COMMIT"
        await self._say(connection, f"{end} AND CHAIN" if chain else end)
        return end == "COMMIT"

    def _may_chain(self, connection: AsyncConnection) -> bool:
        info = info_of(connection)
        return LOCKED not in info and TOUCHED not in info

    def _is_usable(self, connection: AsyncConnection) -> bool:
        return not _is_broken(connection) and TOUCHED not in info_of(connection)

    def _is_open(self, connection: AsyncConnection) -> bool:
        return bool(driver_of(connection).server_status & _IN_TRANSACTION) or LOCKED in info_of(connection)

    async def _abandon(self, connection: AsyncConnection, *, unheard: bool = False) -> None:
        """Also ends what the server still does for somebody who was cancelled, and the locks that it holds."""
        driver = self._drivers[connection]
        if driver._close_reason:  # which the driver has only for that
            with suppress(Exception):  # the server finds out by itself, when it has done it
                await self._kill(driver.thread_id())
        await super()._abandon(connection, unheard=unheard)

    async def _kill(self, session: int) -> None:
        async with asyncio.timeout(self._connect_timeout), self._engine.connect() as connection:
            await driver_of(connection).query(f"KILL {int(session)}")


def _is_broken(connection: AsyncConnection) -> bool:
    """Closed here, or by the server as far as that is known without asking."""
    broken: bool = driver_of(connection)._stream_broken
    return broken
