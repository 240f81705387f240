"""Retention: what is finished is kept for a while and then goes, in small steps that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.errors import ConfigurationError
from freehold.model.saga import FINAL
from freehold.runtime.host import Host
from freehold.runtime.view_tables import ViewTables


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long finished things are kept, and how gently they go.

    Args:
        published: outbox rows since they were published.
        consumed: inbox marks since the event was handled. Must be longer than any redelivery can take, or an event
            could be handled twice: at least as long as `published`.
        sagas: completed and compensated instances with their history. Those that need attention stay.
        dead_letters: replayed and discarded ones. Dead ones stay.
        view_changes: changes remembered for view rows that have not come.
        step: rows deleted by one transaction, at most.
        pause: seconds between two of them.
    """

    published: timedelta = timedelta(days=7)
    consumed: timedelta = timedelta(days=30)
    sagas: timedelta = timedelta(days=90)
    dead_letters: timedelta = timedelta(days=90)
    view_changes: timedelta = timedelta(days=30)
    step: int = 1000
    pause: float = 0.05

    def __post_init__(self) -> None:
        for name in ("published", "consumed", "sagas", "dead_letters", "view_changes"):
            if getattr(self, name) <= timedelta():
                raise ConfigurationError(f"retention.{name}", "is not longer than nothing", "Give it a day or more")
        if self.consumed < self.published:
            raise ConfigurationError(
                "retention.consumed",
                f"is {self.consumed}, shorter than retention.published ({self.published})",
                "An event that is published again must find its mark: make it at least as long",
            )
        if self.step < 1 or self.pause < 0:
            raise ConfigurationError(
                "retention.step, retention.pause", "are not above zero", "Use the usual 1000 rows and 0.05 seconds"
            )


class Retention:
    """Purges one service's framework tables. Several processes may at once: they only find less to do.

    Args:
        host: the running service.
        settings: what to keep for how long; what is provided to the service, or the usual, when None.
    """

    def __init__(self, host: Host, settings: RetentionSettings | None = None) -> None:
        if settings is None and RetentionSettings in host.provided:
            settings = host.provided.use(RetentionSettings)
        self._host = host
        self.settings = settings or RetentionSettings()

    async def run_due(self) -> dict[str, int]:
        """Delete what has been kept long enough, nothing pending, dead or unfinished; how many rows by table."""
        purged: dict[str, int] = {}
        for table, old in self._old(self._host.clock.now()):
            purged[table.name] = await self._purge(table, old)
        return purged

    def _old(self, now: datetime) -> Sequence[tuple[Table, ColumnElement[bool]]]:
        """By table, which rows have been kept long enough."""
        tables, keep = self._host.tables, self.settings
        outbox, dead = tables.outbox, tables.dead_letters
        scopes = [ViewTables.of(view, tables.metadata).scopes for view in self._host.service.views]
        return [
            (outbox, outbox.c.published_at < now - keep.published),
            (tables.consumed, tables.consumed.c.consumed_at < now - keep.consumed),
            (tables.idempotency, tables.idempotency.c.expires_at < now),
            (tables.sagas, tables.sagas.c.status.in_(FINAL) & (tables.sagas.c.completed_at < now - keep.sagas)),
            (dead, dead.c.status.in_(("replayed", "discarded")) & (dead.c.resolved_at < now - keep.dead_letters)),
            *((table, table.c.scope__at < now - keep.view_changes) for table in scopes),
        ]

    async def _purge(self, table: Table, old: ColumnElement[bool]) -> int:
        """Step by step until nothing old is left."""
        purged = 0
        while True:
            async with self._host.engine.read() as connection:
                found = (
                    await connection.execute(select(*table.primary_key).where(old).limit(self.settings.step))
                ).all()
            if not found:
                return purged
            async with self._host.engine.write() as connection:
                purged += await self._delete(connection, table, old, [tuple(row) for row in found])
            if len(found) < self.settings.step:
                return purged
            await asyncio.sleep(self.settings.pause)

    async def _delete(
        self, connection: AsyncConnection, table: Table, old: ColumnElement[bool], keys: Sequence[tuple[object, ...]]
    ) -> int:
        if table is self._host.tables.sagas:
            history = self._host.tables.saga_transitions
            await connection.execute(delete(history).where(history.c.saga_id.in_([key[0] for key in keys])))
        # The condition again: a row may have changed since it was found (a dead letter replayed, a record renewed).
        done = await connection.execute(delete(table).where(tuple_(*table.primary_key).in_(keys), old))
        return done.rowcount
