"""`Tx`: one transaction of one service, with everything that must happen in it or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, Result, ScalarResult, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from freehold.model.access import User
from freehold.model.ids import uuid7
from freehold.model.messages import Command, Event, Query
from freehold.model.problem import Problem
from freehold.runtime import faultpoints
from freehold.runtime.bulk import BulkInsert
from freehold.runtime.context import Asking, Context
from freehold.runtime.outbox import OutboxRow
from freehold.runtime.tenancy import ScopedSession

if TYPE_CHECKING:
    from freehold.model.saga import Saga
    from freehold.model.service import Coalescing
    from freehold.model.view import View
    from freehold.runtime.host import Host
    from freehold.runtime.saga_store import SagaView

R = TypeVar("R")
M = TypeVar("M")
T = TypeVar("T")


class MisuseError(RuntimeError):
    """A transaction was used in a way that would break a guarantee; the message says which and what to do."""


class Tx:
    """One transaction: rows, events, commands and records that commit together or not at all.

    It opens the database at its first statement, so that what comes before (a call to another service, a look into a
    cache) holds no lock. Events are written in one statement right before the commit, which keeps them in the order in
    which transactions got their locks.
    """

    def __init__(self, host: Host, context: Context, *, readonly: bool) -> None:
        self.context = context
        self.readonly = readonly
        self._host = host
        self._stack = AsyncExitStack()
        self._connection: AsyncConnection | None = None
        self._session: AsyncSession | None = None
        self._outbox: list[OutboxRow] = []
        self._delayed: list[tuple[OutboxRow, datetime]] = []
        self._gathered: dict[BulkInsert, list[Mapping[str, Any]]] = {}
        self._on_open: list[Callable[[AsyncConnection], Awaitable[None]]] = []
        self._after_commit: list[Callable[[], None]] = []
        self._afterwards: list[Callable[[], Awaitable[None]]] = []
        self._wrote = False
        self._opening = False

    # --- who, when, with what -----------------------------------------------------------------------------------------

    @property
    def user(self) -> User | None:
        """On whose behalf the transaction runs."""
        return self.context.user

    @property
    def wrote(self) -> bool:
        """Whether it was told to write; a change of a row that it read is not among that."""
        return self._wrote

    def now(self) -> datetime:
        """The time, from the injected clock, in UTC."""
        return self._host.clock.now()

    def use(self, kind: type[T]) -> T:
        """Settings or another provided thing, by its type."""
        return self._host.provided.use(kind)

    async def flag(self, name: str) -> bool:
        """Whether a feature flag, as it was a second ago at most, is on for the transaction's user, if any.

        Raises ConfigurationError for one that the service does not declare.
        """
        return await self._host.flags.is_on(name, self.user.id if self.user else None, self.connection)

    # --- rows ---------------------------------------------------------------------------------------------------------

    async def connection(self) -> AsyncConnection:
        """The connection, for Core statements; opened by the first call."""
        if self._connection is None:
            if self._opening:
                raise MisuseError("two tasks use one transaction at the same time: await one statement after another")
            self._opening = True
            try:
                opened = self._host.engine.read() if self.readonly else self._host.engine.write()
                connection = await self._stack.enter_async_context(opened)
                for function in self._on_open:
                    await function(connection)
            finally:
                self._opening = False
            self._connection = connection
            if self._session is not None:
                self._bind(self._session, self._connection)
        return self._connection

    async def session(self) -> AsyncSession:
        """The SQLAlchemy session of this transaction. Do not commit it: the unit of work does."""
        session = self._lazy_session()
        await self.connection()
        return session

    def _lazy_session(self) -> AsyncSession:
        if self._session is None:
            self._session = AsyncSession(sync_session_class=ScopedSession, expire_on_commit=False, autoflush=True)
            self._session.info["tenant"] = self._host.tenant_scope(self.context)
            if self._connection is not None:
                self._bind(self._session, self._connection)
        return self._session

    @staticmethod
    def _bind(session: AsyncSession, connection: AsyncConnection) -> None:
        session.bind = connection
        session.sync_session.bind = connection.sync_connection

    def add(self, row: object) -> None:
        """Insert a row of a mapped class at the commit, or at the next statement."""
        self._writing("add a row")
        self._lazy_session().add(row)

    def add_all(self, rows: Sequence[object]) -> None:
        """Insert rows."""
        self._writing("add rows")
        self._lazy_session().add_all(rows)

    async def insert(self, row: object, *, taken: Problem) -> None:
        """Insert a row now. Raises the problem `taken` when a unique key of it exists already."""
        self.add(row)
        await self.flush(taken=taken)

    def is_duplicate(self, error: BaseException) -> bool:
        """Whether the error says that a unique key exists already."""
        return self._host.engine.is_duplicate(error)

    async def delete(self, row: object) -> None:
        """Delete a row that was read here."""
        self._writing("delete a row")
        await (await self.session()).delete(row)

    async def flush(self, *, taken: Problem | None = None) -> None:
        """Send pending inserts and updates now, for their errors or their defaults.

        Raises the problem `taken` when a unique key of one of them exists already.
        """
        session = await self.session()
        try:
            await session.flush()
        except Exception as error:
            if taken is not None and self._host.engine.is_duplicate(error):
                raise taken from None
            raise

    async def get(self, table: type[M], key: Any, *, lock: bool = False) -> M | None:
        """The row with this primary key, or None. `lock` holds it against other writers until the end."""
        session = await self.session()
        if lock and not self.readonly:
            return await session.get(table, key, with_for_update=True, populate_existing=True)
        return await session.get(table, key)

    async def execute(self, statement: Executable, rows: Any = None) -> Result[*tuple[Any, ...]]:
        """Run a statement through the session; ORM and Core alike."""
        if getattr(statement, "is_dml", False):
            self._writing("run a statement that writes")
            if self._needs_no_session(statement):
                return await (await self.connection()).execute(statement, rows)
        return await (await self.session()).execute(statement, rows)

    def _needs_no_session(self, statement: Any) -> bool:
        """Nothing to flush before it, to synchronise after it, to load by it, or to narrow to a tenant."""
        if self._session is not None or statement.table not in self._host.plain_tables:
            return False
        return not statement.exported_columns and self._host.tenant_scope(self.context) is None

    async def scalar(self, statement: Executable) -> Any:
        """The first column of the first row, or None."""
        if getattr(statement, "is_dml", False):
            self._writing("run a statement that writes")
        return await (await self.session()).scalar(statement)

    async def scalars(self, statement: Executable) -> ScalarResult[Any]:
        """The first column of every row."""
        if getattr(statement, "is_dml", False):
            self._writing("run a statement that writes")
        return await (await self.session()).scalars(statement)

    async def find(self, table: type[M], *conditions: Any, lock: bool = False) -> M | None:
        """The one row that meets the conditions, or None."""
        statement = select(table).where(*conditions).limit(1)
        if lock and not self.readonly:
            statement = statement.with_for_update()
        found: M | None = await self.scalar(statement)
        return found

    async def insert_new(
        self, table: type[Any], rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """Insert those of the rows, given by column, whose `key` is not in the mapped class's table yet; their keys."""
        self._writing("insert rows")
        inserted = await (await self.connection()).execute(self._host.engine.insert_new(table.__table__, rows, key=key))
        return [tuple(row) for row in inserted]

    # --- messages -----------------------------------------------------------------------------------------------------

    def publish(self, *events: Event, after: timedelta | None = None, context: Context | None = None) -> None:
        """Publish events if, and only if, this transaction commits.

        Args:
            events: of types that this service declares in `publishes`.
            after: hold them back for so long.
            context: the request they follow from, where it is not the transaction's own: of one call in a batch.
        """
        for message in events:
            if type(message) not in self._host.published:
                raise MisuseError(
                    f"{self._host.service.name} does not publish {type(message).__name__}: "
                    f"add it to Service(publishes=[…]), or let its owner publish it"
                )
            self._enqueue(message, after, context=context)

    def send(self, command: Command, *, after: timedelta | None = None) -> None:
        """Send a command to the service that handles it, if and only if this transaction commits."""
        self._enqueue(command, after)

    def _enqueue(
        self,
        message: Event | Command,
        after: timedelta | None = None,
        *,
        event_id: UUID | None = None,
        extra: Mapping[str, str] | None = None,
        context: Context | None = None,
    ) -> None:
        self._writing("publish")
        headers = {**(context or self.context).event_headers(), **(extra or {})}
        row = OutboxRow.of(message, event_id or uuid7(), headers, self.now())
        if after is None:
            self._outbox.append(row)
        else:
            self._delayed.append((row, self.now() + after))

    async def ask(self, query: Query[R], *, after_write: bool = False) -> R:
        """Ask another service, in process or over HTTP.

        Raises the Problem that it answers, or Unavailable. After the first write of this transaction it is refused,
        since it would hold locks across a network, unless `after_write` says that this is meant.
        """
        if self._wrote and not after_write:
            raise MisuseError(
                f"{type(query).__name__} is asked after a write: ask first, then write; or pass after_write=True "
                "and accept that locks are held while the other service answers"
            )
        return await self._host.ask(query, Asking(self._host.service.name, self.context))

    async def replica(self, view: View, key: Any) -> Any | None:
        """The row of one of this service's views, as an object of its mapped class.

        A row that is not there yet is asked of its owner by the view's `one`, and kept: in this transaction, or right
        after it when it is read-only. Of it and an event that comes meanwhile the newer version stays. None where the
        owner answers 404. Raises what `ask` does, and like it before the first write only.

        Args:
            view: a view with a key of one column.
            key: which row.
        """
        return await self._host.views.replica(view, key, self)

    async def start(self, saga: Saga, data: BaseModel) -> UUID:
        """Start a saga of this service in this transaction; its id."""
        return await self._host.sagas.start(saga, data, self)

    async def saga(self, saga_id: UUID) -> SagaView | None:
        """Where an instance of this service's sagas stands."""
        return await self._host.sagas.get(self, saga_id)

    def audit(
        self,
        action: str,
        resource: str,
        resource_id: object = None,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        actor_id: UUID | None = None,
        tenant_id: UUID | None = None,
        context: Context | None = None,
    ) -> None:
        """Leave a row in `audit_logs`: who did what to which thing, in which request.

        Args:
            action: a verb, like `confirm`.
            resource: the kind of thing.
            resource_id: which one.
            before: what it was, as far as it was changed.
            after: what it is now.
            actor_id: who did it, where that is not the caller.
            tenant_id: whose thing it is, where that is not the caller's tenant.
            context: the request that it was done in, where it is not the transaction's own: of one call in a batch.
        """
        self._writing("write an audit row")
        asked = context or self.context
        user = asked.user
        row = {
            "id": uuid7(),
            "at": self.now(),
            "actor_id": actor_id or (user.id if user else None),
            "tenant_id": tenant_id or (user.tenant_id if user else None),
            "action": action,
            "resource": resource,
            "resource_id": None if resource_id is None else str(resource_id),
            "before": before,
            "after": after,
            "request_id": asked.request_id,
        }
        self.gather(self._host.audit, [row])

    def gather(self, insert: BulkInsert, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert these rows right before the commit, with whatever else is gathered for other tables."""
        self._gathered.setdefault(insert, []).extend(rows)

    def on_open(self, function: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Await the function with the connection right after the database is opened, before the first statement."""
        self._on_open.append(function)

    def on_commit(self, function: Callable[[], None]) -> None:
        """Call the function once the transaction has committed, in this process, if it lives that long."""
        self._after_commit.append(function)

    def afterwards(self, function: Callable[[], Awaitable[None]]) -> None:
        """Await the function once the transaction has committed and let go of its connection; it must not raise."""
        self._afterwards.append(function)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _writing(self, what: str) -> None:
        if self.readonly:
            raise MisuseError(f"this transaction is read-only and cannot {what}: declare the route with writes=True")
        self._wrote = True

    async def finish(self) -> None:
        """Write what was gathered and commit. The unit of work calls it; nobody else."""
        if self._session is not None and not self.readonly:
            await self.flush()
        if self._outbox or self._delayed or self._gathered:
            await self._write_gathered(await self.connection())
        faultpoints.reach("commit.before")
        await self._stack.aclose()
        faultpoints.reach("commit.after")

    async def _write_gathered(self, connection: AsyncConnection) -> None:
        if self._delayed:
            rows = [{**row.message(), "due_at": due} for row, due in self._delayed]
            await connection.execute(self._host.tables.delayed.insert(), rows)
        if self._outbox:
            self.gather(self._host.outbox.insert, [row.columns() for row in self._outbox])
        if self._gathered:
            await self._host.inserts(connection, self._gathered)

    async def abandon(self, error: BaseException) -> None:
        """Roll back. The unit of work calls it; nobody else."""
        await self._stack.__aexit__(type(error), error, error.__traceback__)

    def release(self) -> None:
        """Forget the session's rows; they stay usable as plain objects."""
        if self._session is not None:
            self._session.sync_session.expunge_all()

    async def committed(self) -> None:
        """Wake the relay and call what waited for the commit."""
        if self._outbox:
            self._host.outbox.wake()
        for function in self._after_commit:
            function()
        for following in self._afterwards:
            await following()

    async def call(self, coalescing: Coalescing, argument: Any) -> Any:
        """A coalesced call makes its own transaction: from inside one it would wait for itself."""
        raise MisuseError(f"{coalescing.name} is coalesced: call it with `work.call(…)`, outside a transaction")
