"""The relay: takes pending rows out of the outbox, hands them to the bus, marks what is safe there.

A crash between publishing and marking publishes again, and the inbox absorbs it. Rows are claimed because they are
pending, never because their number is higher than the last: a transaction that commits late is found like any other,
and before anything that came after it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Update, bindparam, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.envelope import Envelope
from freehold.model.errors import BusUnavailable, Refused
from freehold.model.ids import uuid7
from freehold.model.ports import Bus
from freehold.observe.metrics import METRICS
from freehold.runtime import faultpoints
from freehold.runtime.host import Host
from freehold.runtime.lease import Lease
from freehold.runtime.tables import LONG
from freehold.runtime.unreadable import set_aside

log = logging.getLogger(__name__)
SHORTEST_WAIT, LONGEST_WAIT, LONGEST_WAIT_FOR_BUS = 0.05, 5.0, 1.0
"""Seconds before the relay starts over: doubled until something is published again."""
STANDBY = 0.5
"""Seconds between two looks whether the one that works has left or died."""
TTL = timedelta(seconds=5)
"""Until a relay that died is missed. A relay that only hung is fenced, and what it has sent twice the inbox absorbs."""
_CLAIMED = ("event_id", "event_type", "version", "topic", "partition_key", "created_at", "payload", "headers", "seq")
_HEADERS = 1 + _CLAIMED.index("headers")  # behind the count


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How the relay works.

    Args:
        batch: rows claimed by one statement.
        in_flight: rows published and not yet marked, at most.
        gather: seconds between two claims under load.
        mark_after: seconds that an answer of the bus waits for others to be marked with; none when nothing else is out.
        idle: seconds between looks when nobody wakes it, after a while without events.
        tries: how often a row that the bus refuses is tried before it is dead.
        first_wait: seconds before the second try; doubled each time.
    """

    batch: int = 500
    in_flight: int = 1000
    gather: float = 0.001
    mark_after: float = 0.01
    idle: float = 0.5
    tries: int = 5
    first_wait: float = 1.0


@dataclass(slots=True)
class _Refusal:
    """A key whose first row the bus refused: it waits, and the key's later rows with it."""

    event_id: UUID
    retry_at: float = math.inf


@dataclass(slots=True)
class _Flight:
    """What is out and not yet marked.

    Args:
        out: the numbers of all of it.
        safe, refused: what the bus has answered.
        mark_at: when the first of these answers has waited long enough.
        down: the bus takes nothing now.
        passed: the highest number read.
        waiting: rows up to there that wait behind a refusal.
        pause: seconds to the next look, if nobody wakes the relay.
    """

    out: dict[UUID, int] = field(default_factory=dict)
    safe: list[Envelope] = field(default_factory=list)
    refused: list[tuple[Envelope, Refused]] = field(default_factory=list)
    mark_at: float = 0.0
    down: bool = False
    passed: int = 0
    waiting: int = 0
    pause: float = 0.0

    @property
    def answered(self) -> int:
        return len(self.safe) + len(self.refused)

    def start_over(self) -> None:
        """Read all that is pending again."""
        self.passed = self.waiting = 0


class Relay:
    """Publishes one service's outbox. Run as many as you like: the lease lets one work.

    Args:
        host, bus: the running service, and where its events go.
        settings: sizes and times.
        on_takeover: awaited when the lease was somebody else's, before anything is published.
    """

    def __init__(
        self,
        host: Host,
        bus: Bus,
        settings: RelaySettings | None = None,
        *,
        on_takeover: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._bus = bus
        self._settings = settings or RelaySettings()
        self._table = host.tables.outbox
        self._lease = Lease(host, "relay", TTL)
        self._on_takeover = on_takeover
        self._refusals: dict[tuple[str, str], _Refusal] = {}
        self._claiming = host.engine.prepare(self._claim_statement())
        self._marking = host.engine.prepare(self._mark_statement())
        self._moved = False
        self.holding = False

    async def run(self) -> None:
        """Work until cancelled. Survives a bus and a database that go away for a while."""
        wait = SHORTEST_WAIT
        while True:
            longest = LONGEST_WAIT
            try:
                before = self._lease.epoch
                if await self._lease.acquire():
                    if before is None or self._lease.epoch != before + 1:
                        await self._take_over()
                        wait = SHORTEST_WAIT
                    self.holding = True
                    await self._pump()
                else:
                    longest = STANDBY
            except BusUnavailable as error:
                log.warning("%s: the bus is away: %s", self._host.service.name, error)
                longest = LONGEST_WAIT_FOR_BUS
            except Exception as error:
                if not (self._host.engine.is_unavailable(error) or self._host.engine.is_conflict(error)):
                    log.exception("%s: the relay stumbled and starts over", self._host.service.name)
                else:
                    log.warning("%s: the database is away: %s", self._host.service.name, type(error).__name__)
            finally:
                self.holding = False
            wait = SHORTEST_WAIT if self._moved else min(wait * 2, longest)
            self._moved = False
            await asyncio.sleep(random.uniform(wait / 2, wait))

    async def claim(self) -> bool:
        """Take the lease before `run` does; False when another process works."""
        return await self._lease.acquire()

    async def stop(self) -> None:
        """Let another process take over at once."""
        if self._lease.epoch is not None:
            await self._lease.release()

    async def _take_over(self) -> None:
        """What this process knew may be out of date: another has worked since."""
        self._refusals.clear()
        if self._on_takeover is not None:
            await self._on_takeover()

    async def _pump(self) -> None:
        """Claim, publish and mark for as long as the lease is ours and the bus takes events."""
        flight = _Flight()
        self._refusals = {where: each for where, each in self._refusals.items() if each.retry_at < math.inf}
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._lease.ttl.total_seconds() / 3
        while True:
            if loop.time() >= renew_at:
                if not await self._lease.renew():
                    return
                renew_at = loop.time() + self._lease.ttl.total_seconds() / 3
            commits = self._host.outbox.commits
            claimed = await self._claim(flight)
            if claimed and not flight.down:  # what failed meanwhile comes before them
                await self._publish(claimed, flight)
            elif not (claimed or flight.down or flight.out or self._refusals):
                self._host.outbox.drained(commits)
            await self._rest(flight, busy=bool(claimed))
            if self._is_due(flight) and not await self._settle(flight):
                return
            if flight.down:
                raise BusUnavailable("it takes nothing now")

    async def _rest(self, flight: _Flight, *, busy: bool) -> None:
        """Wait for answers of the bus, for a commit, or for the next look: the longer, the longer nothing came."""
        if busy:
            flight.pause = self._settings.gather
            await asyncio.sleep(self._settings.gather)
        elif not self._is_due(flight):
            flight.pause = min(max(2 * flight.pause, self._settings.gather), self._settings.idle)
            await self._host.outbox.wait(self._next_look(flight))

    def _is_due(self, flight: _Flight) -> bool:
        """Whether the answers are to be marked: all are there, or a batch of them, or they have waited long enough."""
        if not flight.answered:
            return flight.down
        enough = flight.answered >= min(len(flight.out), self._settings.batch)
        return enough or flight.down or asyncio.get_running_loop().time() >= flight.mark_at

    def _next_look(self, flight: _Flight) -> float:
        now = asyncio.get_running_loop().time()
        due = [max(0.01, refusal.retry_at - now) for refusal in self._refusals.values()]
        if flight.answered:
            due.append(max(0.0, flight.mark_at - now))
        return min([flight.pause, *due])

    # --- claim --------------------------------------------------------------------------------------------------------

    def _pending_statement(self) -> Select[Any]:
        table = self._table
        return (
            select(*(table.c[name] for name in _CLAIMED))
            .where(self._is_pending(), table.c.seq > bindparam("passed", type_=LONG))
            .order_by(table.c.seq)
            .limit(bindparam("limit", type_=LONG))
        )

    def _claim_statement(self) -> Select[Any]:
        """How many pending rows there are up to the number that was passed, and those after it: both of one moment."""
        table = self._table
        passed_over = (
            select(func.count().label("passed_over"))
            .where(self._is_pending(), table.c.seq <= bindparam("passed", type_=LONG))
            .subquery("passed")
        )
        rows = self._pending_statement().subquery("following")
        return select(passed_over, rows).select_from(passed_over.outerjoin(rows, true())).order_by(rows.c.seq)

    def _is_pending(self) -> ColumnElement[bool]:
        return self._table.c.published_at.is_(None) & self._table.c.dead_at.is_(None)

    async def _claim(self, flight: _Flight) -> list[Envelope]:
        """Pending rows in their order, without those that are out or wait behind a refusal.

        While rows are out it reads only behind the last one it knows, and counts those before. A row that committed
        late, with a number already passed, makes the count differ, and all that is pending is read again: a later row
        of its key, which must not overtake it, cannot be seen by a statement that does not count it.
        """
        room = min(self._settings.in_flight - len(flight.out), self._settings.batch)
        if room <= 0:
            return []
        now = asyncio.get_running_loop().time()
        if not flight.out or self._is_retry_due(flight, now):
            flight.start_over()
        async with self._host.engine.read() as connection:
            while True:
                known = sum(seq <= flight.passed for seq in flight.out.values())
                # Rows that are out may be read again: those of a claim that starts before them.
                values = {"limit": room + len(flight.out) - known, "passed": flight.passed}
                claim = await self._read(connection, values)
                if claim is None:
                    break
                passed_over, rows = claim
                if passed_over != known + flight.waiting:
                    flight.start_over()
                    continue
                envelopes = self._take(rows, flight, now)
                if envelopes or len(rows) < values["limit"]:  # else all of them wait, and others may come after
                    return envelopes
        if not await set_aside(self._host, self._lease, self._pending_statement(), values):
            raise RuntimeError("pending rows cannot be read, and the lease to set them aside is lost")
        return await self._claim(flight)

    def _is_retry_due(self, flight: _Flight, now: float) -> bool:
        return any(each.retry_at <= now and each.event_id not in flight.out for each in self._refusals.values())

    async def _read(
        self, connection: AsyncConnection, values: dict[str, int]
    ) -> tuple[int, Sequence[Sequence[Any]]] | None:
        """The count and the rows of a claim; None when a row cannot be read."""
        try:
            (first, *more) = await self._claiming.fetch(connection, values)
        except (ValueError, TypeError):
            return None
        rows = [first, *more] if first[1] is not None else []
        return (first[0], rows) if all(isinstance(row[_HEADERS], dict) for row in rows) else None

    def _take(self, rows: Sequence[Sequence[Any]], flight: _Flight, now: float) -> list[Envelope]:
        """Those of the rows that are neither out nor wait."""
        source, taken = self._host.service.name, []
        for _, event_id, kind, version, topic, key, created_at, payload, headers, seq in rows:
            if event_id not in flight.out:
                envelope = Envelope(event_id, kind, version, source, topic, key, created_at, payload, headers, seq)
                if self._waits(envelope, now):
                    flight.waiting += 1
                else:
                    taken.append(envelope)
        if rows:
            flight.passed = max(flight.passed, rows[-1][-1])
        return taken

    def _waits(self, envelope: Envelope, now: float) -> bool:
        refusal = self._refusals.get((envelope.topic, envelope.key))
        return refusal is not None and (envelope.event_id != refusal.event_id or now < refusal.retry_at)

    # --- publish ------------------------------------------------------------------------------------------------------

    async def _publish(self, envelopes: Sequence[Envelope], flight: _Flight) -> None:
        faultpoints.reach("publish.before")
        flight.out.update((envelope.event_id, envelope.seq) for envelope in envelopes)
        answers = await self._bus.publish(envelopes)
        for envelope, answer in zip(envelopes, answers, strict=True):
            answer.add_done_callback(partial(self._landed, flight, envelope))

    def _landed(self, flight: _Flight, envelope: Envelope, done: asyncio.Future[None]) -> None:
        if not flight.answered:
            flight.mark_at = asyncio.get_running_loop().time() + self._settings.mark_after
            self._host.outbox.stir()
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or isinstance(error, BusUnavailable):
            flight.out.pop(envelope.event_id, None)
            flight.down = True
        elif error is not None:
            refused = error if isinstance(error, Refused) else Refused(f"{type(error).__name__}: {error}")
            flight.refused.append((envelope, refused))
            self._refusals.setdefault((envelope.topic, envelope.key), _Refusal(envelope.event_id))
        else:
            flight.safe.append(envelope)
        if self._is_due(flight):
            self._host.outbox.stir()

    # --- mark ---------------------------------------------------------------------------------------------------------

    async def _settle(self, flight: _Flight) -> bool:
        """Mark what is safe and count what was refused; False when the lease is lost."""
        safe, flight.safe = flight.safe, []
        refused, flight.refused = flight.refused, []
        if not safe and not refused:
            return True
        faultpoints.reach("publish.after")
        faultpoints.reach("mark.before")
        async with self._host.engine.write() as connection:
            held = True
            if safe:
                held = await self._mark(connection, [envelope.event_id for envelope in safe])
            for envelope, error in refused:
                held &= await self._refuse(connection, envelope, error)
        faultpoints.reach("mark.after")
        self._moved = True
        if held:
            METRICS.published(self._host.service.name, [envelope.type for envelope in safe])
        for envelope in (*safe, *(envelope for envelope, _ in refused)):
            flight.out.pop(envelope.event_id, None)
        if self._refusals:
            published = {envelope.event_id for envelope in safe}
            self._refusals = {k: each for k, each in self._refusals.items() if each.event_id not in published}
            flight.start_over()
        return held

    def _mark_statement(self) -> Update:
        among = self._host.engine.among(self._table.c.event_id, "ids")
        now = bindparam("now", type_=self._table.c.published_at.type)
        return update(self._table).where(among, self._lease.fence(bindparam("epoch"))).values(published_at=now)

    async def _mark(self, connection: AsyncConnection, ids: Sequence[UUID]) -> bool:
        values = {"ids": ids, "now": self._host.clock.now(), "epoch": self._lease.epoch}
        return bool(await self._marking.execute(connection, values))

    async def _refuse(self, connection: AsyncConnection, envelope: Envelope, error: Refused) -> bool:
        """Count a refusal; the row dies with the last one, and its key goes on. False when the lease is lost."""
        table, now = self._table, self._host.clock.now()
        mine = (table.c.event_id == envelope.event_id) & self._lease.fence()
        row = (await connection.execute(select(table.c.retry_count).where(mine))).one_or_none()
        if row is None:
            return False
        count = row.retry_count + 1
        dead = count >= self._settings.tries
        await connection.execute(
            update(table).where(mine).values(retry_count=count, last_error=str(error), dead_at=now if dead else None)
        )
        if dead:
            letters = self._host.tables.dead_letters
            await connection.execute(letters.insert().values(**self._dead(envelope, count, error)))
            log.error("%s: %s %s cannot be published", self._host.service.name, envelope.type, envelope.event_id)
        where = (envelope.topic, envelope.key)
        refusal = self._refusals.setdefault(where, _Refusal(envelope.event_id))
        if refusal.event_id != envelope.event_id:
            return True  # it waits behind an earlier one
        if dead:
            del self._refusals[where]
        else:
            wait = self._settings.first_wait * 2 ** (count - 1) * random.uniform(0.8, 1.2)
            refusal.retry_at = asyncio.get_running_loop().time() + wait
        return True

    def _dead(self, envelope: Envelope, count: int, error: Refused) -> dict[str, Any]:
        return {
            "id": uuid7(), "direction": "publish", "consumer_name": None, "event_id": envelope.event_id,
            "source": envelope.source, "event_type": envelope.type, "version": envelope.version,
            "topic": envelope.topic, "partition_key": envelope.key, "payload": envelope.payload,
            "headers": dict(envelope.headers), "event_time": envelope.time, "died_at": self._host.clock.now(),
            "retry_count": count, "error": str(error), "held": False, "status": "dead",
        }  # fmt: skip
