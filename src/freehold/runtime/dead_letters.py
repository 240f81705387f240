"""Dead letters: listed, inspected, replayed or discarded by people, with an audit trail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, select, update

from freehold.model.problem import Problem, not_found
from freehold.runtime.host import Host
from freehold.runtime.outbox import OutboxRow
from freehold.runtime.parking import promote
from freehold.runtime.transaction import Tx

Status = Literal["dead", "replayed", "discarded"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up, and why."""

    id: UUID
    direction: Literal["publish", "consume"]
    consumer_name: str | None
    event_id: UUID
    event_type: str
    source: str
    partition_key: str
    payload: str
    died_at: datetime
    retry_count: int
    error: str
    status: Status
    resolved_at: datetime | None
    resolved_by: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did, and what it means for the order of the key's events.

    `overtaken` is how many later events of the key this consumer has handled, or has waiting: the replayed one comes
    after the former. It is 0 when the key was held.
    """

    id: UUID
    overtaken: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """What became of many dead letters: so many were resolved, and so many left, which somebody else had resolved."""

    resolved: int
    skipped: int


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.tables.dead_letters

    async def list(
        self,
        *,
        status: Status | None = "dead",
        event_type: str | None = None,
        consumer: str | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """Dead letters, oldest first, at most `limit`; go on with `after` the last one's id."""
        statement = self._chosen(status, event_type, consumer).order_by(self._table.c.id).limit(limit)
        if after is not None:
            statement = statement.where(self._table.c.id > after)
        async with self._host.engine.read() as connection:
            return [_letter(row) for row in await connection.execute(statement)]

    async def get(self, letter_id: UUID) -> DeadLetter:
        """One dead letter. Raises a 404 Problem."""
        async with self._host.engine.read() as connection:
            row = (await connection.execute(select(self._table).where(self._table.c.id == letter_id))).one_or_none()
        if row is None:
            raise not_found(f"dead letter {letter_id}")
        return _letter(row)

    async def replay(self, letter_id: UUID, *, by: str) -> Replayed:
        """Try the event again as if it had just failed for the first time. A second replay is refused with a 409
        Problem.

        Args:
            letter_id: which.
            by: who asks, for the audit trail.
        """

        async def transact(tx: Tx) -> Replayed:
            row = await self._take(letter_id, tx)
            overtaken = await (
                self._publish_again(row, tx) if row.direction == "publish" else self._park_again(row, tx)
            )
            await self._resolve(row, "replayed", by, tx)
            return Replayed(row.id, overtaken)

        return await self._host.work().run(transact)

    async def replay_all(self, *, by: str, event_type: str | None = None, consumer: str | None = None) -> Sweep:
        """Replay every dead one that fits, oldest first, each in its own transaction; how many. What somebody else
        resolves meanwhile is skipped.
        """
        return await self._sweep(lambda letter_id: self.replay(letter_id, by=by), event_type, consumer)

    async def discard_all(self, *, by: str, event_type: str | None = None, consumer: str | None = None) -> Sweep:
        """Discard every dead one that fits, like `replay_all`."""
        return await self._sweep(lambda letter_id: self.discard(letter_id, by=by), event_type, consumer)

    async def _sweep(
        self, resolve: Callable[[UUID], Awaitable[object]], event_type: str | None, consumer: str | None
    ) -> Sweep:
        resolved, skipped, last = 0, 0, None
        while letters := await self.list(event_type=event_type, consumer=consumer, after=last):
            for letter in letters:
                try:
                    await resolve(letter.id)
                except Problem as problem:
                    if problem.code != "ALREADY_RESOLVED":
                        raise
                    skipped += 1
                else:
                    resolved += 1
            last = letters[-1].id
        return Sweep(resolved, skipped)

    async def discard(self, letter_id: UUID, *, by: str) -> None:
        """Give the event up for good; events that were held behind it go on."""

        async def transact(tx: Tx) -> None:
            row = await self._take(letter_id, tx)
            await self._resolve(row, "discarded", by, tx)
            if row.held:
                await self._let_go(row, tx)

        await self._host.work().run(transact)

    def _chosen(self, status: Status | None, event_type: str | None, consumer: str | None) -> Select[Any]:
        table = self._table
        statement = select(table)
        for column, value in (
            (table.c.status, status),
            (table.c.event_type, event_type),
            (table.c.consumer_name, consumer),
        ):
            if value is not None:
                statement = statement.where(column == value)
        return statement

    async def _take(self, letter_id: UUID, tx: Tx) -> Row[Any]:
        connection = await tx.connection()
        found = await connection.execute(select(self._table).where(self._table.c.id == letter_id).with_for_update())
        row = found.one_or_none()
        if row is None:
            raise not_found(f"dead letter {letter_id}")
        if row.status != "dead":
            raise Problem(409, "ALREADY_RESOLVED", f"dead letter {letter_id} was {row.status} by {row.resolved_by}")
        return row

    async def _resolve(self, row: Row[Any], status: Status, by: str, tx: Tx) -> None:
        table = self._table
        await (await tx.connection()).execute(
            update(table).where(table.c.id == row.id).values(status=status, resolved_at=tx.now(), resolved_by=by)
        )
        tx.audit(f"dead_letter.{status}", row.event_type, row.event_id, after={"dead_letter": str(row.id), "by": by})

    async def _publish_again(self, row: Row[Any], tx: Tx) -> int:
        outbox, connection = self._host.tables.outbox, await tx.connection()
        renewed = await connection.execute(
            update(outbox)
            .where(outbox.c.event_id == row.event_id)
            .values(dead_at=None, retry_count=0, published_at=None)
        )
        if not renewed.rowcount:  # a saga's command, of which the outbox has no row (any more)
            again = OutboxRow(
                row.event_id, row.event_type, row.version, row.topic, row.partition_key, row.payload, row.headers,
                tx.now(),
            )  # fmt: skip
            await self._host.outbox.write(connection, [again])
        tx.on_commit(self._host.outbox.wake)
        mine = select(outbox.c.seq).where(outbox.c.event_id == row.event_id).scalar_subquery()
        later = select(func.count()).where(outbox.c.partition_key == row.partition_key, outbox.c.topic == row.topic,
                                           outbox.c.seq > mine, outbox.c.published_at.is_not(None))  # fmt: skip
        return int((await connection.execute(later)).scalar_one())

    async def _park_again(self, row: Row[Any], tx: Tx) -> int:
        """Held: its parked row is still the first of its key. Otherwise it parks behind whatever waits now."""
        parked, connection = self._host.tables.parked, await tx.connection()
        if row.held:
            await connection.execute(
                update(parked)
                .where(parked.c.event_id == row.event_id, parked.c.consumer_name == row.consumer_name)
                .values(retry_count=0, next_attempt_at=tx.now())
            )
            return 0
        mine = (parked.c.consumer_name == row.consumer_name) & (parked.c.partition_key == row.partition_key)
        waiting = int((await connection.execute(select(func.count()).where(mine))).scalar_one())
        message = {
            name: getattr(row, name)
            for name in ("event_id", "event_type", "version", "topic", "partition_key", "payload", "headers")
        }
        again = {
            "consumer_name": row.consumer_name, "source": row.source, "event_time": row.event_time,
            "parked_at": tx.now(), "retry_count": 0, "next_attempt_at": None, **message,
        }  # fmt: skip
        # Of two dead letters of one event the second finds the first one's replay waiting.
        await connection.execute(self._host.engine.insert_new(parked, [again], key=["consumer_name", "event_id"]))
        await promote(self._host, row.consumer_name, row.partition_key, tx)
        return waiting

    async def _let_go(self, row: Row[Any], tx: Tx) -> None:
        parked, connection = self._host.tables.parked, await tx.connection()
        mine = (parked.c.consumer_name == row.consumer_name) & (parked.c.partition_key == row.partition_key)
        await connection.execute(delete(parked).where(mine, parked.c.event_id == row.event_id))
        await promote(self._host, row.consumer_name, row.partition_key, tx)


def _letter(row: Row[Any]) -> DeadLetter:
    names = DeadLetter.__dataclass_fields__
    return DeadLetter(**{name: getattr(row, name) for name in names})
