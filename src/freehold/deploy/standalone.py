"""The outbox and the inbox alone, for an application that has its own sessions and wants no more than them.

outbox = Outbox(Base.metadata, publishes=[OrderPlaced])
inbox = Inbox(Base.metadata)

async with sessions.begin() as session:
    session.add(order)
    outbox.publish(session, OrderPlaced(order_id=order.id))     # the same transaction, or not at all

@inbox.on(OrderPlaced)
async def bill(event: OrderPlaced, session: AsyncSession) -> None: ...   # once, atomically with its effects

async with delivery(DATABASE_URL, outbox, inbox):               # in the application's lifespan
    ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import MetaData, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from freehold.buses.local import LocalBus
from freehold.deploy.unit import Unit
from freehold.engines import open_engine
from freehold.model.ids import uuid7
from freehold.model.messages import Event
from freehold.model.ports import Bus, Clock, SystemClock
from freehold.model.service import Retry, Service
from freehold.model.system import System
from freehold.runtime.host import Host
from freehold.runtime.outbox import OutboxRow
from freehold.runtime.provided import parameters
from freehold.runtime.tables import FrameworkTables
from freehold.runtime.transaction import MisuseError, Tx

_GATHERED = "freehold_outbox"
_Gathered = list[tuple[OutboxRow, SessionTransaction | None]]
"""With the transaction or savepoint in which each was published; None before there was one."""


class Outbox:
    """Publishes from any AsyncSession.

    Args:
        metadata: of the application's tables; the outbox's are added, so that migrations see them.
        publishes: the events that may be published.
        name: the application's name, the `source` of its events.
        dialect: of the database: `postgresql`, `mysql` (MariaDB too) or `sqlite`.
        clock: where the time comes from.
    """

    def __init__(
        self,
        metadata: MetaData,
        *,
        publishes: Sequence[type[Event]],
        name: str = "app",
        dialect: str = "postgresql",
        clock: Clock | None = None,
    ) -> None:
        self.service = Service(name, publishes=publishes)
        self._clock: Clock = clock or SystemClock()
        self._tables = FrameworkTables(dialect)
        self.wakes: Callable[[], None] | None = None
        for table in self._tables.metadata.sorted_tables:
            if table.name not in metadata.tables:
                table.to_metadata(metadata)

    def publish(self, session: AsyncSession, *events: Event) -> None:
        """Publish the events if, and only if, the session's transaction commits.

        They are written in one statement right before the commit, which keeps the order in which transactions got
        their locks. Raises MisuseError for an event that is not declared.
        """
        gathered = self._gathered(session.sync_session)
        part = session.sync_session.get_nested_transaction() or session.sync_session.get_transaction()
        for message in events:
            if type(message) not in self.service.publishes:
                raise MisuseError(f"{type(message).__name__} is not declared: add it to Outbox(publishes=[…])")
            gathered.append((OutboxRow.of(message, uuid7(), {}, self._clock.now()), part))

    def _gathered(self, session: Session) -> _Gathered:
        if _GATHERED not in session.info:
            session.info[_GATHERED] = []
            event.listen(session, "before_commit", self._write)
            event.listen(session, "after_commit", self._keep)
            event.listen(session, "after_transaction_end", self._forget)
        rows: _Gathered = session.info[_GATHERED]
        return rows

    def _write(self, session: Session) -> None:
        rows: _Gathered = session.info[_GATHERED]
        if rows and not session.in_nested_transaction():
            session.flush()
            session.execute(self._tables.outbox.insert(), [row.columns() for row, _ in rows])

    def _keep(self, session: Session) -> None:
        """What a savepoint gathered is its parent's when it is released; after the commit of all nothing is left."""
        rows: _Gathered = session.info[_GATHERED]
        savepoint = session.get_nested_transaction()
        if savepoint is not None:
            rows[:] = [(row, savepoint.parent if part is savepoint else part) for row, part in rows]
            return
        if rows and self.wakes is not None:
            self.wakes()
        rows.clear()

    @staticmethod
    def _forget(session: Session, ended: SessionTransaction) -> None:
        """What is left of an ended transaction was not committed."""
        rows: _Gathered = session.info[_GATHERED]
        if ended.parent is None:
            rows.clear()
        else:
            rows[:] = [(row, part) for row, part in rows if part is not ended]


class Inbox:
    """Handles each event once, in a transaction with the handler's effects.

    Args:
        metadata: of the application's tables; the inbox's are added, so that migrations see them.
        dialect: of the database: `postgresql`, `mysql` (MariaDB too) or `sqlite`.
    """

    def __init__(self, metadata: MetaData, *, dialect: str = "postgresql") -> None:
        self.service = Service("app")
        for table in FrameworkTables(dialect).metadata.sorted_tables:
            if table.name not in metadata.tables:
                table.to_metadata(metadata)

    def on(
        self,
        *events: type[Event],
        name: str = "",
        retry: Retry = Retry(),  # noqa: B008 - frozen
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Handle these events: `async def (event, session)`, where `session: AsyncSession` commits with the inbox's
        mark.
        """

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            sessions = [n for n, kind in list(parameters(function).items())[1:] if kind is AsyncSession]

            async def handle(message: Event, tx: Tx) -> None:
                await function(message, **{parameter: await tx.session() for parameter in sessions})

            self.service.on(*events, name=name or function.__name__, retry=retry)(handle)
            return function

        return register


@asynccontextmanager
async def delivery(
    url: str, outbox: Outbox | None = None, *inboxes: Inbox, bus: Bus | None = None, clock: Clock | None = None
) -> AsyncIterator[None]:
    """Publish the outbox and feed the inboxes while the block runs.

    Any number of processes may: a lease lets one publish, and another takes over when it dies. On the default local
    bus, that one also handles the events.

    Args:
        url: address of the database that the sessions write to.
        outbox: what to publish.
        inboxes: who handles; their tables are in the same database.
        bus: None: the local one.
        clock: where the time comes from.
    """
    service = Service(outbox.service.name if outbox is not None else "app")
    if outbox is not None:
        service.publishes = outbox.service.publishes
    for inbox in inboxes:
        service.handlers.extend(inbox.service.handlers)
    system = System("standalone", services=[service])
    unit = Unit(Host(system, service, open_engine(url), clock=clock), bus or LocalBus())
    try:
        await unit.prepare()
        unit.start()
        if outbox is not None:
            outbox.wakes = unit.host.outbox.wake
        yield
    finally:
        if outbox is not None:
            outbox.wakes = None
        await unit.stop()
