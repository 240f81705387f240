"""What the toolkit needs from the world: a clock, a database engine, a bus, and a way to call another service.

Each port is a protocol; `engines`, `buses`, `runtime` and `http` implement them. Nothing here does I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection, Executable, MetaData, Table
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.elements import ColumnElement

    from freehold.model.envelope import Envelope
    from freehold.model.messages import Query

ANSWERING: ContextVar[bool] = ContextVar("answering", default=False)
"""Whether a service is answering another, which may hold a connection of its own until it has the answer. Engines keep
some connections for this, so that services that ask each other in a circle do not wait for ever."""
CONNECTIONS = 6
"""How many connections a service holds to a server at most, unless it is told otherwise: 14 services fit 100."""

R = TypeVar("R")
C_contra = TypeVar("C_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where a process may keep files of its own: provided things that need one get it by type."""

    path: Path


class Clock(Protocol):
    """Where the time comes from; tests inject their own so that nothing waits for a real one."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Prepared(Protocol):
    """A statement that was compiled once. Call it with a connection of the engine that prepared it."""

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run it with these parameters; the rows, column by column as it selects or returns them."""
        ...

    async def execute(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        """Run it with these parameters; how many rows it touched."""
        ...


class Engine(Protocol):
    """One service's database: connections, transactions, and the few statements that dialects spell differently."""

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""
        ...

    @property
    def url(self) -> str:
        """The database's address without its password, fit for logs and messages."""
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection inside a write transaction that commits at the block's end and rolls back when the block raises.

        SQLite begins it immediate, one at a time. The connection returns to its pool in every case, cancellation
        included.
        """
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection inside a read-only transaction: a statement that writes raises."""
        ...

    def insert_new(self, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]) -> Executable:
        """INSERT the rows whose `key` is not there yet and RETURN the key columns of those that were inserted."""
        ...

    def upsert(
        self,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        key: Sequence[str],
        update: Mapping[str, Any] | Sequence[str] | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> Executable:
        """INSERT the rows, or where `key` exists UPDATE.

        `update` names the columns to take from the new row (all but the key when None), or maps columns to
        expressions, in
        which `engine.excluded(table).c.name` is the new row's value. `where` limits the update to rows that satisfy it.
        """
        ...

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Whether the column is one of a list, which is the parameter `name`: one statement for lists of any length."""
        ...

    def excluded(self, table: Table) -> Any:
        """The row that an `upsert` tried to insert, for use in its `update` and `where`; columns under `.c`."""
        ...

    def prepare(self, statement: Executable) -> Prepared:
        """Compile a statement once, for what runs with every event; what differs from call to call is a `bindparam`."""
        ...

    async def try_lock(self, connection: AsyncConnection, name: str) -> bool:
        """Take the lock `name` until the transaction ends, or answer False at once when somebody else holds it."""
        ...

    def is_conflict(self, error: BaseException) -> bool:
        """A deadlock, serialisation failure or lock time-out: running the transaction again may succeed."""
        ...

    def is_unavailable(self, error: BaseException) -> bool:
        """The database cannot be reached or is starting or shutting down."""
        ...

    def is_duplicate(self, error: BaseException) -> bool:
        """A unique key was already taken."""
        ...

    def change(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Like `write`, for one that changes tables: others that change or create some wait, in every process.

        Raises DatabaseUnavailable when another one takes longer than a minute.
        """
        ...

    async def make(self, connection: AsyncConnection, metadata: MetaData) -> None:
        """Create the tables that do not exist yet, inside a `change`."""
        ...

    def watch(self, seen: Callable[[Connection, str], None]) -> Callable[[], None]:
        """Call the function before each statement, with its connection and its text, until the result is called."""
        ...

    async def create(self, metadata: MetaData) -> None:
        """Create the tables that do not exist yet."""
        ...

    async def ping(self) -> None:
        """Raise unless the database answers."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class Bus(Protocol):
    """What carries published events from a service's relay to the consumer groups of the others."""

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        """Hand over events in order; one future each.

        It ends when the event is safe with whoever must have it (the broker acknowledged it, or, on the local bus,
        every subscribed group has committed or parked it). It raises `Refused` when this one event cannot be taken, and
        `BusUnavailable` when nothing can be published now.
        """
        ...

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        """Deliver every event of these types to the group, per partition key in order, at least once."""
        ...

    async def ping(self) -> None:
        """Raise unless the bus answers."""
        ...

    async def close(self) -> None:
        """Stop delivering and disconnect."""
        ...


class Deliver(Protocol):
    """A consumer group's entrance: takes an event into its lanes and answers when it is committed or parked."""

    def __call__(self, event: Envelope, /) -> asyncio.Future[None]: ...


class Caller(Protocol[C_contra]):
    """Carries a typed query or command to the service that answers it, with a context: who asks and on whose behalf."""

    async def ask(self, query: Query[R], context: C_contra) -> R:
        """The answer. Raises the `Problem` that the other service answered, or `Unavailable` when it cannot be had."""
        ...
