"""The write side: events become rows of the same transaction as the change they tell of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.messages import Message
from freehold.runtime.bulk import BulkInsert
from freehold.runtime.tables import FrameworkTables

COLUMNS = (
    "event_id", "aggregate_type", "aggregate_id", "event_type", "version", "topic", "partition_key", "payload",
    "headers", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message on its way into the outbox."""

    event_id: UUID
    event_type: str
    version: int
    topic: str
    key: str
    payload: str
    headers: dict[str, str]
    created_at: datetime

    @classmethod
    def of(cls, message: Message, event_id: UUID, headers: dict[str, str], now: datetime) -> OutboxRow:
        """The row for a message."""
        spec = message.__message__
        return cls(event_id, spec.name, spec.version, spec.topic, message.key, message.model_dump_json(), headers, now)

    def message(self) -> dict[str, Any]:
        """The columns that every table has which keeps a message for later."""
        return {
            "event_type": self.event_type,
            "version": self.version,
            "topic": self.topic,
            "partition_key": self.key,
            "payload": self.payload,
            "headers": self.headers,
        }

    def columns(self) -> dict[str, Any]:
        """The columns of the outbox."""
        return {
            "event_id": self.event_id,
            "aggregate_type": self.event_type.partition(".")[0],
            "aggregate_id": self.key,
            **self.message(),
            "created_at": self.created_at,
        }


class Outbox:
    """Writes rows at the end of transactions and wakes the relay once they are committed."""

    def __init__(self, tables: FrameworkTables) -> None:
        self.insert = BulkInsert(tables.outbox, COLUMNS)
        self._woken = asyncio.Event()
        self._drained = asyncio.Event()
        self._commits = 0
        self._seen = 0

    async def write(self, connection: AsyncConnection, rows: Sequence[OutboxRow]) -> None:
        """Insert the rows in one statement, their `seq` growing in order."""
        await self.insert(connection, [row.columns() for row in rows])

    def wake(self) -> None:
        """Tell the relay of this process that there is something to publish."""
        self._commits += 1
        self._woken.set()

    def stir(self) -> None:
        """Have the relay look after what is out: nothing new was committed."""
        self._woken.set()

    @property
    def commits(self) -> int:
        """How often it was woken."""
        return self._commits

    def drained(self, commits: int) -> None:
        """The relay found nothing left of what was there at that many commits."""
        self._seen = commits
        self._drained.set()

    async def until_drained(self) -> None:
        """Wait until all that this process has committed is published and marked."""
        while self._seen < self._commits:
            self._drained.clear()
            await self._drained.wait()

    async def wait(self, seconds: float) -> None:
        """Until somebody wakes the relay, or so many seconds have passed."""
        if not self._woken.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass
        self._woken.clear()
