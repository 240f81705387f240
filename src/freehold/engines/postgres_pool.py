"""The pool on asyncpg."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.engines.pool import TransactionPool, info_of
from freehold.engines.postgres_dialect import CHARACTERISTICS, hide_values
from freehold.engines.prepared import driver_of

BEGIN = "BEGIN"
BEGIN_READ_ONLY = "BEGIN READ ONLY"
_FAILED = "ROLLBACK"  # what the server answers to the COMMIT of a transaction in which a statement failed


class PostgresPool(TransactionPool):
    """Its engine's connections are in autocommit."""

    async def _say(self, connection: AsyncConnection, statement: str) -> None:
        await driver_of(connection).execute(statement)

    async def _say_commit(self, connection: AsyncConnection, *, chain: bool) -> bool:
        try:
            status: str = await driver_of(connection).execute("COMMIT AND CHAIN" if chain else "COMMIT")
        except BaseException as error:
            hide_values(error)
            raise
        return status != _FAILED

    def _may_chain(self, connection: AsyncConnection) -> bool:
        # A chained transaction would inherit what this one has set for itself: its isolation, that it only reads.
        return not info_of(connection).pop(CHARACTERISTICS, False)

    def _is_usable(self, connection: AsyncConnection) -> bool:
        return not driver_of(connection).is_closed()

    def _is_open(self, connection: AsyncConnection) -> bool:
        in_transaction: bool = driver_of(connection).is_in_transaction()
        return in_transaction
