"""Where failing events wait: retried with backoff, with later events of their key behind them, until they pass or die.

Everything is in the consumer's own database: memory stays bounded, the bus is not held up, and a crash forgets nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy import Row, delete, exists, select, update

from freehold.model.envelope import Envelope
from freehold.model.errors import NewerVersion, NoUpcaster
from freehold.model.ids import uuid7
from freehold.observe.metrics import METRICS
from freehold.runtime import faultpoints
from freehold.runtime.context import Context
from freehold.runtime.failure import describe
from freehold.runtime.handling import handling, kept
from freehold.runtime.host import Host
from freehold.runtime.lease import Lease
from freehold.runtime.transaction import Tx

if TYPE_CHECKING:
    from freehold.runtime.consume import Subscriber

log = logging.getLogger(__name__)
LOOK, STANDBY = 0.5, 2.0
REFRESH = 5.0
HEADS = 100
AT_ONCE = 8
TURN = 20
"""Events of a key, one after another, before other keys get their turn."""
ROLL_OUT = timedelta(seconds=10)
"""Between two looks whether a process that knows an event's newer version has come."""
HOPELESS = (ValidationError, NoUpcaster)
"""What no further try can mend."""


class Gone(Exception):
    """Somebody else has dealt with a parked event while it was tried."""


@dataclass(frozen=True, slots=True)
class Head:
    """A key's first parked event, and whether it may be tried now."""

    row: Row[Any]
    is_due: bool


class Parking:
    """The parked events of one service.

    What this process remembers of them spares a look; the rows decide. On a bus whose groups several processes share
    each handler's transaction looks for itself, since another process may have parked what came before.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.tables.parked
        self._subscribers: dict[str, Subscriber] = {}
        self._held: dict[tuple[str, str], object] = {}  # each with what tells it from a later one
        self._parked_meanwhile: dict[tuple[str, str], object] = {}
        self._loading = asyncio.Lock()
        self._lease = Lease(host, "parking")
        self._woken = asyncio.Event()

    def add(self, subscriber: Subscriber) -> Subscriber:
        """Retry this subscriber's events too."""
        self._subscribers[subscriber.name] = subscriber
        return subscriber

    def holds(self, consumer: str, key: str) -> bool:
        """Whether an earlier event of the key is parked, as far as this process knows."""
        return (consumer, key) in self._held

    def hold(self, consumer: str, keys: Collection[str]) -> None:
        """Events of these keys are parked."""
        for key in keys:
            self._held[consumer, key] = self._parked_meanwhile[consumer, key] = object()

    def _free(self, consumer: str, key: str, known: object | None) -> None:
        """Nothing of the key is parked any more, unless something was since that was known."""
        if self._held.get((consumer, key)) is known:
            self._held.pop((consumer, key), None)

    async def load(self) -> None:
        """Learn which keys are parked: at the start, when another process' work is taken over, and now and then."""
        table = self._table
        async with self._loading:
            self._parked_meanwhile = {}  # and so not in what is read, if it was committed after the look
            async with self._host.engine.read() as connection:
                rows = await connection.execute(select(table.c.consumer_name, table.c.partition_key).distinct())
                found = {(row.consumer_name, row.partition_key): object() for row in rows}
            self._held = found | self._parked_meanwhile

    # --- in -----------------------------------------------------------------------------------------------------------

    async def park(self, subscriber: Subscriber, envelope: Envelope, error: Exception) -> None:
        """Keep a failing event for its next try; one that can never be read is dead at once."""
        faultpoints.reach("parking.before")
        METRICS.failed(self._host.service.name, subscriber.name)
        now = self._host.clock.now()
        newer = isinstance(error, NewerVersion)
        hopeless = isinstance(error, HOPELESS) or (subscriber.handler.retry.times <= 1 and not newer)
        log.warning("%s.%s: %s %s failed: %s", self._host.service.name, subscriber.name, envelope.type,
                    envelope.event_id, describe(error))  # fmt: skip
        async with self._host.work(Context(cause=envelope)).transaction() as tx:
            if hopeless:
                await self._bury(subscriber, envelope, 1, error, tx)
            if not hopeless or subscriber.handler.on_dead == "hold":
                await self._insert(
                    subscriber, [envelope], tx, retry_count=0 if newer else 1, last_error=describe(error),
                    next_attempt_at=None if hopeless else now + self._wait(subscriber, 1, error),
                )  # fmt: skip
        if not hopeless or subscriber.handler.on_dead == "hold":
            self.hold(subscriber.name, [envelope.key])
            self._woken.set()
        faultpoints.reach("parking.after")

    async def park_behind(self, subscriber: Subscriber, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Keep events whose key has a parked one, to be tried in their turn; those whose key has none any more."""
        name = subscriber.name
        known = {envelope.key: self._held.get((name, envelope.key)) for envelope in envelopes}
        async with self._host.work(Context(cause=envelopes[0])).transaction() as tx:
            waiting = {key for key in sorted(known) if await first_parked(self._host, name, key, tx) is not None}
            behind = [envelope for envelope in envelopes if envelope.key in waiting]
            if behind:
                await self._insert(subscriber, behind, tx, retry_count=0, last_error=None, next_attempt_at=None)
                for key in waiting:
                    await promote(self._host, name, key, tx)
        for key in known.keys() - waiting:
            self._free(name, key, known[key])
        return [envelope for envelope in envelopes if envelope.key not in waiting]

    async def _insert(self, subscriber: Subscriber, envelopes: Sequence[Envelope], tx: Tx, **state: Any) -> None:
        now = tx.now()
        rows = [
            {
                "consumer_name": subscriber.name, "event_id": e.event_id, "source": e.source, "event_type": e.type,
                "version": e.version, "topic": e.topic, "partition_key": e.key, "payload": e.payload,
                "headers": dict(e.headers), "event_time": e.time, "parked_at": now, **state,
            }
            for e in envelopes
        ]  # fmt: skip
        statement = self._host.engine.insert_new(self._table, rows, key=["consumer_name", "event_id"])
        await (await tx.connection()).execute(statement)

    # --- out ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Retry what is due until cancelled; one process of the service does."""
        loop = asyncio.get_running_loop()
        refresh_at = loop.time() + REFRESH
        while True:
            holding = False
            try:
                holding = await self._lease.keep()
                if holding:
                    await self.run_due()
                if loop.time() >= refresh_at:
                    await self.load()
                    refresh_at = loop.time() + REFRESH
            except Exception as error:
                if self._host.engine.is_unavailable(error) or self._host.engine.is_conflict(error):
                    log.warning(
                        "%s: parked events wait for the database: %s", self._host.service.name, type(error).__name__
                    )
                else:
                    log.exception("%s: retrying parked events failed", self._host.service.name)
            await self._pause(LOOK if holding else STANDBY)

    async def stop(self) -> None:
        """Let another process retry at once."""
        if self._lease.epoch is not None:
            await self._lease.release()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def run_due(self) -> int:
        """Try every event whose time has come, and those behind it; how many passed."""
        total = 0
        while passed := await self._sweep():
            total += passed
        return total

    async def _sweep(self) -> int:
        """Try what is due, page by page; how many passed, behind each of which another may be due now."""
        table, passed, last = self._table, 0, -1
        gate = asyncio.Semaphore(AT_ONCE)

        async def retry(row: Row[Any]) -> int:
            async with gate:
                return await self._retry_key(row)

        while True:
            async with self._host.engine.read() as connection:
                page = (
                    await connection.execute(
                        select(table)
                        .where(
                            table.c.next_attempt_at <= self._host.clock.now(),
                            table.c.position > last,
                            # Not those of a handler that was renamed or removed, which `freehold check` reports.
                            table.c.consumer_name.in_(self._subscribers),
                        )
                        .order_by(table.c.position)
                        .limit(HEADS)
                    )
                ).all()
            if not page:
                return passed
            last = page[-1].position
            heads = {(row.consumer_name, row.partition_key): row for row in reversed(page)}  # of each key the first
            outcomes = await asyncio.gather(*(retry(row) for row in heads.values()), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
                passed += outcome

    async def _retry_key(self, row: Row[Any] | None) -> int:
        """Try an event and, while they pass, those behind it, for one turn; how many passed."""
        passed = 0
        while row is not None and passed < TURN:
            was_taken, row = await self._retry(row)
            passed += was_taken
        return passed

    async def _retry(self, row: Row[Any]) -> tuple[bool, Row[Any] | None]:
        """Whether the event passed, and the next of its key if that may be tried now."""
        subscriber = self._subscribers[row.consumer_name]
        envelope, known = envelope_of(row), self._held.get((row.consumer_name, row.partition_key))
        try:
            with handling(self._host, subscriber.name, [envelope]) as context:
                async with self._host.work(context).transaction() as tx:
                    await subscriber.handle([envelope], tx)
                    following = await self._leave(row, tx)
        except Gone:
            return False, None
        except Exception as error:
            if self._host.engine.is_unavailable(error):
                raise
            if self._host.engine.is_conflict(error):
                return False, None  # the next look tries it again; the others need not wait for that
            if not kept(error):  # what it kept includes its mark: the next try only takes it out
                await self._failed(subscriber, row, envelope, error)
            return False, None
        if following is None:
            self._free(row.consumer_name, row.partition_key, known)
        return True, following.row if following is not None and following.is_due else None

    async def _leave(self, row: Row[Any], tx: Tx) -> Head | None:
        """Take the event out and give the next of its key its turn; that one, if there is one.

        Raises Gone when it was out already: then it may be dead, and must not have had its effects after all. So two
        processes that try it, the lease having run out under one of them, are one too many and no harm.
        """
        connection = await tx.connection()
        taken = await connection.execute(delete(self._table).where(self._table.c.position == row.position))
        if not taken.rowcount:
            raise Gone
        return await promote(self._host, row.consumer_name, row.partition_key, tx)

    async def _failed(self, subscriber: Subscriber, row: Row[Any], envelope: Envelope, error: Exception) -> None:
        METRICS.failed(self._host.service.name, subscriber.name)
        newer = isinstance(error, NewerVersion)
        count = row.retry_count + (not newer)
        dead = isinstance(error, HOPELESS) or (count >= subscriber.handler.retry.times and not newer)
        hold = subscriber.handler.on_dead == "hold"
        table, more, known = self._table, True, self._held.get((subscriber.name, envelope.key))
        async with self._host.work(Context(cause=envelope)).transaction() as tx:
            if not await self._is_still(row, tx):
                return
            if dead:
                await self._bury(subscriber, envelope, count, error, tx)
            if dead and not hold:
                more = await self._leave(row, tx) is not None
            else:
                wait = None if dead else tx.now() + self._wait(subscriber, count, error)
                await (await tx.connection()).execute(
                    update(table)
                    .where(table.c.position == row.position)
                    .values(retry_count=count, last_error=describe(error), next_attempt_at=wait)
                )
        if not more:
            self._free(subscriber.name, envelope.key, known)

    async def _is_still(self, row: Row[Any], tx: Tx) -> bool:
        """Whether the event waits as it was read, and no other process has dealt with it meanwhile."""
        table = self._table
        same = (table.c.position == row.position) & (table.c.retry_count == row.retry_count)
        found = await (await tx.connection()).scalar(select(table.c.position).where(same).with_for_update())
        return found is not None

    async def _bury(self, subscriber: Subscriber, envelope: Envelope, count: int, error: Exception, tx: Tx) -> None:
        log.error("%s.%s: %s %s is dead after %d tries: %s", self._host.service.name, subscriber.name, envelope.type,
                  envelope.event_id, count, describe(error))  # fmt: skip
        await (await tx.connection()).execute(
            self._host.tables.dead_letters.insert().values(
                id=uuid7(), direction="consume", consumer_name=subscriber.name, event_id=envelope.event_id,
                source=envelope.source, event_type=envelope.type, version=envelope.version, topic=envelope.topic,
                partition_key=envelope.key, payload=envelope.payload, headers=dict(envelope.headers),
                event_time=envelope.time, died_at=tx.now(), retry_count=count, error=describe(error),
                held=subscriber.handler.on_dead == "hold", status="dead",
            )
        )  # fmt: skip

    @staticmethod
    def _wait(subscriber: Subscriber, count: int, error: Exception) -> timedelta:
        """Exponential backoff with jitter of a fifth either way."""
        if isinstance(error, NewerVersion):
            return ROLL_OUT
        policy = subscriber.handler.retry
        return timedelta(seconds=min(policy.first * 2 ** (count - 1), policy.longest) * random.uniform(0.8, 1.2))


async def first_parked(host: Host, consumer: str, key: str, tx: Tx) -> Row[Any] | None:
    """A key's first parked event, locked; None when nothing of it is parked.

    Locked, since an event that parks behind it while it leaves would not be seen, and wait for ever.
    """
    table = host.tables.parked
    mine = (table.c.consumer_name == consumer) & (table.c.partition_key == key)
    # The position alone: it is in the index. For whole rows MariaDB may walk the table, and lock what other keys hold.
    head = select(table.c.position).where(mine).order_by(table.c.position).limit(1).with_for_update()
    connection = await tx.connection()
    position = await connection.scalar(head)
    if position is None:
        return None
    return (await connection.execute(select(table).where(table.c.position == position))).one()


async def promote(host: Host, consumer: str, key: str, tx: Tx) -> Head | None:
    """A key's first parked event, which is due now if nothing before it is dead and held; None when there is none."""
    table, dead, connection = host.tables.parked, host.tables.dead_letters, await tx.connection()
    first = await first_parked(host, consumer, key, tx)
    if first is None:
        return None
    if first.next_attempt_at is not None:
        return Head(first, first.next_attempt_at <= tx.now())
    held = exists(
        select(dead.c.id).where(dead.c.event_id == table.c.event_id, dead.c.consumer_name == consumer,
                                dead.c.status == "dead", dead.c.held)
    )  # fmt: skip
    promoted = await connection.execute(
        update(table).where(table.c.position == first.position, ~held).values(next_attempt_at=tx.now())
    )
    return Head(first, promoted.rowcount == 1)


def envelope_of(row: Row[Any]) -> Envelope:
    """The event that a row of `parked_events` or `dead_letters` keeps."""
    time: datetime = row.event_time
    return Envelope(row.event_id, row.event_type, row.version, row.source, row.topic, row.partition_key, time,
                    row.payload, row.headers)  # fmt: skip
