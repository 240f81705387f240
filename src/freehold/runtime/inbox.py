"""What each handler has consumed: marks in the handler's own transaction, so that an event has its effects once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.ports import Engine
from freehold.runtime.tables import FrameworkTables

KEY = ("event_id", "consumer_name")


class Inbox:
    """The `consumed_events` of one service."""

    def __init__(self, engine: Engine, tables: FrameworkTables) -> None:
        self._engine = engine
        self._table = tables.consumed
        row: dict[str, Any] = {
            "event_id": bindparam("event"),
            "consumer_name": bindparam("consumer"),
            "consumed_at": bindparam("now"),
        }
        self._one = engine.prepare(engine.insert_new(self._table, [row], key=KEY))

    async def mark(self, connection: AsyncConnection, consumer: str, event_id: UUID, now: datetime) -> bool:
        """Mark one event; whether it was new."""
        return bool(await self._one.execute(connection, {"event": event_id, "consumer": consumer, "now": now}))

    async def mark_all(
        self, connection: AsyncConnection, consumer: str, event_ids: Sequence[UUID], now: datetime
    ) -> set[UUID]:
        """Mark events, in one statement; the ids of those that were new."""
        rows = [{"event_id": event_id, "consumer_name": consumer, "consumed_at": now} for event_id in event_ids]
        inserted = await connection.execute(self._engine.insert_new(self._table, rows, key=KEY))
        return {row.event_id for row in inserted}
