"""What each handler has consumed: marks in the handler's own transaction, so that an event has its effects once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, bindparam, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.ports import Engine
from freehold.runtime.tables import FrameworkTables

KEY = ("event_id", "consumer_name")


class Inbox:
    """The `consumed_events` of one service."""

    def __init__(self, engine: Engine, tables: FrameworkTables) -> None:
        self._table = tables.consumed
        self._parked = tables.parked
        row: dict[str, Any] = {
            "event_id": bindparam("event"),
            "consumer_name": bindparam("consumer"),
            "consumed_at": bindparam("now"),
        }
        self._engine = engine
        self._one = engine.prepare(engine.insert_new(self._table, [row], key=KEY))
        self._many = engine.prepare(self._from_array()) if engine.dialect == "postgresql" else None
        # One statement, where the database can say so much in one, since every event on a broker needs it.
        self._unless_held = engine.prepare(self._if_nothing_is_parked()) if engine.dialect != "mysql" else None
        among = engine.among(self._parked.c.partition_key, "keys")
        mine = (self._parked.c.consumer_name == bindparam("consumer")) & among
        self._held = engine.prepare(select(self._parked.c.partition_key).where(mine).distinct())

    async def mark(self, connection: AsyncConnection, consumer: str, event_id: UUID, now: datetime) -> bool:
        """Mark one event; whether it was new."""
        return bool(await self._one.execute(connection, {"event": event_id, "consumer": consumer, "now": now}))

    async def mark_unless_held(
        self, connection: AsyncConnection, consumer: str, event_id: UUID, now: datetime, key: str
    ) -> bool:
        """Mark one event, unless events of its key are parked; False, too, when it was not new."""
        values = {"event": event_id, "consumer": consumer, "now": now, "key": key}
        if self._unless_held is not None:
            return bool(await self._unless_held.execute(connection, values))
        if await self.held(connection, consumer, [key]):
            return False
        return await self.mark(connection, consumer, event_id, now)

    async def held(self, connection: AsyncConnection, consumer: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys that have parked events."""
        return {key for (key,) in await self._held.fetch(connection, {"consumer": consumer, "keys": list(keys)})}

    async def mark_all(
        self, connection: AsyncConnection, consumer: str, event_ids: Sequence[UUID], now: datetime
    ) -> set[UUID]:
        """Mark events that differ, by one statement where statements cross a wire; the ids of those that were new."""
        if self._engine.dialect == "sqlite":
            return {event_id for event_id in event_ids if await self.mark(connection, consumer, event_id, now)}
        if self._many is None:
            rows = [{"event_id": event, "consumer_name": consumer, "consumed_at": now} for event in event_ids]
            new = await connection.execute(self._engine.insert_new(self._table, rows, key=KEY))
            return {event_id for event_id, _ in new}
        values = {"events": list(event_ids), "consumer": consumer, "now": now}
        return {event_id for (event_id,) in await self._many.fetch(connection, values)}

    def _from_array(self) -> Insert:
        """Compiled and prepared once, for any number of events: rows of values would be, for each number anew."""
        columns = self._table.c
        events = bindparam("events", type_=postgresql.ARRAY(columns.event_id.type, dimensions=1))
        consumer, now = (
            bindparam("consumer", type_=columns.consumer_name.type),
            bindparam("now", type_=columns.consumed_at.type),
        )
        new = postgresql.insert(self._table).from_select(
            ["event_id", "consumer_name", "consumed_at"], select(func.unnest(events), consumer, now)
        )
        return new.on_conflict_do_nothing(index_elements=list(KEY)).returning(columns.event_id)

    def _if_nothing_is_parked(self) -> Insert:
        columns, parked = self._table.c, self._parked.c
        given = [bindparam(name, type_=column.type) for name, column in (
            ("event", columns.event_id), ("consumer", columns.consumer_name), ("now", columns.consumed_at),
        )]  # fmt: skip
        same = (parked.consumer_name == bindparam("consumer")) & (parked.partition_key == bindparam("key"))
        row = select(*given).where(~exists(select(parked.position).where(same)))
        inserting = postgresql.insert if self._engine.dialect == "postgresql" else sqlite.insert
        new = inserting(self._table).from_select(["event_id", "consumer_name", "consumed_at"], row)
        return new.on_conflict_do_nothing(index_elements=list(KEY))
