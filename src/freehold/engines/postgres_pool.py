"""The pool on asyncpg."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from freehold.engines.pool import TransactionPool, info_of
from freehold.engines.postgres_dialect import CHARACTERISTICS, hide_values
from freehold.engines.prepared import driver_of
from freehold.model.errors import ConfigurationError

BEGIN = "BEGIN"
BEGIN_READ_ONLY = "BEGIN READ ONLY"
_FAILED = "ROLLBACK"  # what the server answers to the COMMIT of a transaction in which a statement failed


class PostgresPool(TransactionPool):
    """Its engine's connections are in autocommit.

    Args:
        settings: what each transaction sets for itself, where sessions are shared with others.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        size: int,
        overflow: int,
        timeout: float,
        idle: float,
        settings: Mapping[str, str],
    ) -> None:
        super().__init__(engine, size=size, overflow=overflow, timeout=timeout, idle=idle)
        self._settings = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in settings.items())

    async def _open_connection(self) -> AsyncConnection:
        try:
            return await super()._open_connection()
        except DBAPIError as error:
            if "unsupported startup parameter" not in str(error.orig):
                raise
            raise ConfigurationError(
                "database", f"PgBouncer is at that address ({error.orig})", "Add ?pgbouncer=true to it"
            ) from error

    async def _say(self, connection: AsyncConnection, statement: str) -> None:
        begins = statement in (BEGIN, BEGIN_READ_ONLY)
        await driver_of(connection).execute(statement + self._settings if begins else statement)

    async def _say_commit(self, connection: AsyncConnection, *, chain: bool) -> bool:
        try:
            status: str = await driver_of(connection).execute("COMMIT AND CHAIN" if chain else "COMMIT")
        except BaseException as error:
            hide_values(error)
            raise
        return status != _FAILED

    def _may_chain(self, connection: AsyncConnection) -> bool:
        # A chained transaction would inherit what this one has set for itself: its isolation, that it only reads. What
        # every transaction sets for itself it would not.
        return not self._settings and not info_of(connection).pop(CHARACTERISTICS, False)

    def _is_usable(self, connection: AsyncConnection) -> bool:
        return not driver_of(connection).is_closed()

    def _is_open(self, connection: AsyncConnection) -> bool:
        in_transaction: bool = driver_of(connection).is_in_transaction()
        return in_transaction
