"""Where a database stands in its histories: what `schema_versions` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, MetaData, Table, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.deploy.migrations.history import History, Revision


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one history has come in a database.

    Args:
        history: which one.
        revision: the last that is done; empty: none.
        steps_done: of the one after it; None while a fresh database is being made.
        is_fresh: nothing was ever made here.
    """

    history: History
    revision: str
    steps_done: int | None
    is_fresh: bool

    @property
    def pending(self) -> Sequence[Revision]:
        """What is still to be done; nothing where the tables are, or will be, made as they are declared today."""
        return [] if self.is_fresh or self.steps_done is None else self.history.after(self.revision)


async def standing(connection: AsyncConnection, versions: Table, history: History, declared: MetaData) -> Standing:
    """How far the history has come.

    Args:
        connection: to the service's database.
        versions: the table `schema_versions`.
        history: a service's, or the toolkit's.
        declared: the tables that it is about; with one of them there, and no version, it began before versions did.
    """
    tables = set(await connection.run_sync(_tables))
    if versions.name in tables:
        asked = select(versions.c.revision, versions.c.steps_done).where(versions.c.history == history.name)
        row = (await connection.execute(asked)).one_or_none()
        if row is not None:
            return Standing(history, row.revision, row.steps_done, is_fresh=False)
    return Standing(history, "", 0, is_fresh=not tables & {table.name for table in declared.sorted_tables})


async def stamp(connection: AsyncConnection, versions: Table, row: Mapping[str, Any]) -> None:
    """Write down how far a history has come: a row of `schema_versions`, in the connection's transaction."""
    if not (
        await connection.execute(update(versions).where(versions.c.history == row["history"]).values(row))
    ).rowcount:
        await connection.execute(versions.insert().values(row))


def _tables(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()
