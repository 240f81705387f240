"""The read side: a service's consumer group. Each event reaches each handler's database effects exactly once.

The mark in `consumed_events` is part of the handler's own transaction. What fails is parked in the service's own
database and the group goes on; see `parking`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.buses.acknowledgement import all_of
from freehold.model.envelope import Envelope
from freehold.model.messages import Message
from freehold.model.problem import Problem
from freehold.model.service import Handler
from freehold.runtime import faultpoints
from freehold.runtime.batches import Batches
from freehold.runtime.handling import handling, kept
from freehold.runtime.host import Host
from freehold.runtime.injection import bind
from freehold.runtime.lanes import Lanes
from freehold.runtime.transaction import Tx

if TYPE_CHECKING:
    from freehold.runtime.parking import Parking

R = TypeVar("R")
log = logging.getLogger(__name__)
WIDTH = 16
WIDTHS = {"sqlite": 2}  # it has one writer, and what many workers do between two turns of the loop, requests wait for
DRAIN = 30.0
CONFLICT_WAITS = (0.001, 0.5)
AWAY_WAITS = (0.05, 5.0)


class Held(Exception):
    """Earlier events of these keys are parked, by another process perhaps: these must park behind them."""

    def __init__(self, keys: Collection[str]) -> None:
        super().__init__(", ".join(sorted(keys)))
        self.keys = keys


class Subscriber:
    """One handler of one service, as the group runs it."""

    def __init__(self, host: Host, handler: Handler) -> None:
        self.handler = handler
        self.name = handler.name
        self._host = host
        self._call = bind(handler.function)
        self._types: dict[str, type[Message]] = {m.__message__.name: m for m in handler.messages}

    def read(self, envelope: Envelope) -> Message:
        """The event as the handler's type. Raises ValidationError when its data does not fit."""
        return self._types[envelope.type].read(envelope)

    async def handle(self, envelopes: Sequence[Envelope], tx: Tx, *, look: bool = False) -> None:
        """Inside a transaction: mark the events as consumed and let the handler at those that are new.

        With `look` it raises Held when earlier events of a key are parked.
        """
        faultpoints.reach("inbox.before")
        fresh = await self.mark(envelopes, tx, look=look)
        faultpoints.reach("inbox.after")
        if not fresh:
            return
        if self.handler.batch is None:
            (envelope,) = fresh
            if await self._nothing_to_undo(envelope, tx):
                return
            await self._call(self.read(envelope), tx)
        else:
            await self._call_with_many([self.read(envelope) for envelope in fresh], tx)
        faultpoints.reach("handler.before_commit")

    async def _call_with_many(self, events: Sequence[Message], tx: Tx) -> None:
        try:
            await self._call(events, tx)
        except Problem as problem:
            if problem.keep and len(events) > 1:
                raise RuntimeError(
                    "a problem that keeps its effects speaks for one event, not for a batch"
                ) from problem
            raise

    async def mark(self, envelopes: Sequence[Envelope], tx: Tx, *, look: bool = False) -> Sequence[Envelope]:
        """Put the events into the inbox; those that were not there yet. With `look` it raises Held."""
        connection = await tx.connection()
        if len(envelopes) == 1:
            return envelopes if await self._mark_one(envelopes[0], connection, tx, look=look) else ()
        # The bus may deliver an event again while it still waits here: one batch then has it twice.
        once = {envelope.event_id: envelope for envelope in envelopes}
        if look:
            await self._look(connection, {envelope.key for envelope in envelopes})
        new = await self._host.inbox.mark_all(connection, self.name, list(once), tx.now())
        return [envelope for event_id, envelope in once.items() if event_id in new]

    async def _mark_one(self, envelope: Envelope, connection: AsyncConnection, tx: Tx, *, look: bool) -> bool:
        inbox = self._host.inbox
        if not look:
            return await inbox.mark(connection, self.name, envelope.event_id, tx.now())
        is_new = await inbox.mark_unless_held(connection, self.name, envelope.event_id, tx.now(), envelope.key)
        if not is_new:
            await self._look(connection, {envelope.key})
        return is_new

    async def _look(self, connection: AsyncConnection, keys: Collection[str]) -> None:
        held = await self._host.inbox.held(connection, self.name, list(keys))
        if held:
            raise Held(held)

    async def _nothing_to_undo(self, envelope: Envelope, tx: Tx) -> bool:
        """An undo that overtakes its do takes the do's place in the inbox: the do will find itself consumed."""
        undoes = envelope.headers.get("undoes")
        if undoes is None:
            return False
        done, _, do_name = undoes.partition("/")
        for handler in self._host.service.handlers:
            if any(message.__message__.name == do_name for message in handler.messages):
                return await self._host.inbox.mark(await tx.connection(), handler.name, UUID(done), tx.now())
        return False


@dataclass(frozen=True, slots=True)
class Task:
    """One event for one subscriber."""

    subscriber: Subscriber
    envelope: Envelope


class Group:
    """The consumer group of a service in this process.

    Args:
        host: the running service.
        handlers: its own, its sagas' and its views'.
        parking: where failing events wait.
        width: events handled at once, at most; when None, as many as the database can make use of.
        shared: other processes may handle the group's events as well, and park them: each transaction looks.
    """

    def __init__(
        self,
        host: Host,
        handlers: Sequence[Handler],
        parking: Parking,
        *,
        width: int | None = None,
        shared: bool = True,
    ) -> None:
        self._host = host
        self._shared = shared
        self._parking = parking
        self.name = host.service.name
        self._lanes: Lanes[Task] = Lanes(width or WIDTHS.get(host.engine.dialect, WIDTH), self._handle)
        self._batches: dict[str, Batches] = {}
        self._subscribers: dict[str, list[Subscriber]] = {}
        for handler in handlers:
            subscriber = parking.add(Subscriber(host, handler))
            for message in handler.messages:
                self._subscribers.setdefault(message.__message__.name, []).append(subscriber)
            if handler.batch is not None:
                self._batches[handler.name] = Batches(handler.batch, subscriber, self._handle_batch)

    @property
    def event_types(self) -> list[str]:
        """What the group subscribes to."""
        return list(self._subscribers)

    def consumers(self, event_type: str) -> list[str]:
        """The names of the handlers that take events of this type."""
        return [subscriber.name for subscriber in self._subscribers.get(event_type, ())]

    def deliver(self, envelope: Envelope) -> asyncio.Future[None]:
        """Take an event in; the future ends when every handler of this service has committed or parked it."""
        futures = [self._submit(subscriber, envelope) for subscriber in self._subscribers.get(envelope.type, ())]
        return all_of(futures)

    def _submit(self, subscriber: Subscriber, envelope: Envelope) -> asyncio.Future[None]:
        batches = self._batches.get(subscriber.name)
        if batches is not None:
            return batches.submit(envelope)
        return self._lanes.submit((subscriber.name, envelope.key), Task(subscriber, envelope))

    async def close(self, drain: float = DRAIN) -> None:
        """Finish what is at work within `drain` seconds; the rest is delivered again."""
        await asyncio.gather(self._lanes.close(drain), *(batches.close(drain) for batches in self._batches.values()))

    # --- one event ----------------------------------------------------------------------------------------------------

    async def _handle(self, task: Task) -> None:
        while not await self._handle_or_park(task.subscriber, task.envelope):
            pass

    async def _handle_or_park(self, subscriber: Subscriber, envelope: Envelope) -> bool:
        """False when it turned out that the event must park behind others."""
        if self._parking.holds(subscriber.name, envelope.key):
            free = await self._patiently(lambda: self._parking.park_behind(subscriber, [envelope]))
            if not free:
                return True
        try:
            await self._patiently(lambda: self.transact(subscriber, [envelope]))
        except Held as held:
            self._parking.hold(subscriber.name, held.keys)
            return False
        except Exception as error:
            if not kept(error):
                failure = error
                await self._patiently(lambda: self._parking.park(subscriber, envelope, failure))
        return True

    async def transact(self, subscriber: Subscriber, envelopes: Sequence[Envelope]) -> None:
        """Inbox mark and handler in one transaction."""
        with handling(self._host, subscriber.name, envelopes) as context:
            async with self._host.work(context).transaction() as tx:
                await subscriber.handle(envelopes, tx, look=self._shared)
            faultpoints.reach("handler.after_commit")

    async def _patiently(self, attempt: Callable[[], Awaitable[R]]) -> R:
        """Repeat what lost a race or found the database away: neither is the event's fault, neither costs a retry."""
        wait = 0.0
        while True:
            try:
                return await attempt()
            except Exception as error:
                if self._host.engine.is_conflict(error):
                    first, longest = CONFLICT_WAITS
                elif self._host.engine.is_unavailable(error):
                    first, longest = AWAY_WAITS
                    log.warning("%s: the database is away: %s", self.name, type(error).__name__)
                else:
                    raise
                wait = min(max(wait * 2, first), longest)
                await asyncio.sleep(random.uniform(wait / 2, wait))

    # --- many events in one transaction -------------------------------------------------------------------------------

    async def _handle_batch(self, subscriber: Subscriber, envelopes: Sequence[Envelope]) -> None:
        behind = [e for e in envelopes if self._parking.holds(subscriber.name, e.key)]
        if behind:
            free = await self._patiently(lambda: self._parking.park_behind(subscriber, behind))
            parked = {e.key for e in behind} - {e.key for e in free}
            envelopes = [e for e in envelopes if e.key not in parked]
        if envelopes:
            await self._halve(subscriber, envelopes)

    async def _halve(self, subscriber: Subscriber, envelopes: Sequence[Envelope]) -> None:
        """Handle together; what fails is split until the failing event stands alone and is parked."""
        try:
            await self._patiently(lambda: self.transact(subscriber, envelopes))
        except Held as held:
            self._parking.hold(subscriber.name, held.keys)
            await self._handle_batch(subscriber, envelopes)
        except Exception as error:
            if kept(error):
                return
            if len(envelopes) == 1:
                failure = error
                await self._patiently(lambda: self._parking.park(subscriber, envelopes[0], failure))
                return
            middle = len(envelopes) // 2
            await self._halve(subscriber, envelopes[:middle])
            await self._handle_batch(subscriber, envelopes[middle:])
