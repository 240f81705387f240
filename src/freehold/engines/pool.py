"""Transactions on a server that begin and commit on the driver itself.

SQLAlchemy's pool and its own BEGIN cost more of a short transaction than its statements. Here connections stay checked
out, with no transaction as far as SQLAlchemy knows, and one that ends while another waits for a connection begins that
one's by the same message: COMMIT AND CHAIN.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from freehold.model.errors import DatabaseUnavailable
from freehold.model.ports import ANSWERING


@dataclass(slots=True)
class _Waiter:
    """Somebody in the queue: gets a connection, or None and the right to open one."""

    begin: str
    answers: bool
    turn: asyncio.Future[tuple[AsyncConnection, bool] | None]


class TransactionPool:
    """At most `size + overflow` connections; those beyond `size` are closed when nobody waits for them.

    A server's own says how to speak to its driver. Every fourth is kept for transactions that answer another service:
    others may hold theirs while they ask.

    Args:
        engine: opens connections; begins, commits and rolls back nothing by itself.
        timeout: seconds to wait for one.
        idle: seconds after which one that nobody used is closed.
    """

    def __init__(self, engine: AsyncEngine, *, size: int, overflow: int, timeout: float, idle: float) -> None:
        self._engine = engine
        self._size = size
        self._limit = size + overflow
        self._timeout = timeout
        self._idle_seconds = idle
        self._idle: deque[tuple[AsyncConnection, float]] = deque()
        self._closing: asyncio.Task[None] | None = None
        self._open = 0
        self._ordinary = 0
        self._waiting: deque[_Waiter] = deque()

    # --- what a server's pool says ------------------------------------------------------------------------------------

    async def _open_connection(self) -> AsyncConnection:
        """A new connection. Raises DatabaseUnavailable when there is none to be had."""
        try:
            return await self._engine.connect()
        except (OSError, TimeoutError) as error:  # said here: elsewhere they may come from anything
            raise DatabaseUnavailable(f"no connection: {type(error).__name__}: {error}") from error

    async def _say(self, connection: AsyncConnection, statement: str) -> None:
        """Begin or roll back."""
        raise NotImplementedError

    async def _say_commit(self, connection: AsyncConnection, *, chain: bool) -> bool:
        """Commit, and begin the next one alike if `chain`; False when it was rolled back, as a statement had failed."""
        raise NotImplementedError

    def _may_chain(self, connection: AsyncConnection) -> bool:
        """Whether the next transaction may be begun with this one's commit: nothing that it has set would be left."""
        raise NotImplementedError

    def _is_usable(self, connection: AsyncConnection) -> bool:
        """Whether another transaction may run on it."""
        raise NotImplementedError

    def _is_open(self, connection: AsyncConnection) -> bool:
        """Whether the server is in a transaction there, as far as the driver has heard."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self, begin: str) -> AsyncGenerator[AsyncConnection, None]:
        """A connection in a transaction, committed at the block's end and rolled back when the block raises."""
        answers = ANSWERING.get()
        connection = await self._begin(begin, answers)
        # SQLAlchemy's own idea of the transaction: a session's rollback shows there, and must not be committed over.
        logical = connection.sync_connection.begin()  # type: ignore[union-attr]
        try:
            yield connection
            if not logical.is_active:
                raise InvalidRequestError("the transaction was rolled back by its session and cannot be committed")
        except BaseException:
            self._leave(answers)
            await _to_its_end(self._abandon(connection))
            raise
        self._leave(answers)
        logical.close()
        await self._commit(connection, begin)

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._size = 0
        if self._closing is not None:
            self._closing.cancel()
        idle, self._idle = self._idle, deque()
        for connection, _ in idle:
            await self._discard(connection)
        await self._engine.dispose()

    # --- who may have one ---------------------------------------------------------------------------------------------

    def _may_enter(self, answers: bool) -> bool:
        return answers or self._ordinary < self._limit - self._limit // 4

    def _enter(self, answers: bool) -> None:
        self._ordinary += not answers

    def _leave(self, answers: bool) -> None:
        """From here on the transaction waits for nobody but the database."""
        self._ordinary -= not answers

    # --- begin --------------------------------------------------------------------------------------------------------

    async def _begin(self, begin: str, answers: bool) -> AsyncConnection:
        while True:
            connection, begun, used = await self._take(begin, answers)
            if begun:
                return connection
            try:
                await self._say(connection, begin)
            except BaseException as error:
                self._leave(answers)
                broken = not self._is_usable(connection)
                await _to_its_end(self._abandon(connection, unheard=True))
                if used and broken and isinstance(error, Exception):
                    continue  # it was cut while it lay idle; nothing was said on it yet
                raise
            return connection

    async def _take(self, begin: str, answers: bool) -> tuple[AsyncConnection, bool, bool]:
        """A connection, entered; whether the transaction is begun; whether it was used before."""
        while self._idle and self._may_enter(answers):
            connection, _ = self._idle.pop()
            if self._is_usable(connection):
                self._enter(answers)
                return connection, False, True
            await self._discard(connection)
        if self._open >= self._limit or not self._may_enter(answers):
            handed = await self._wait(begin, answers)
            if handed is not None:
                return *handed, True
        else:
            self._enter(answers)
            self._open += 1
        try:
            return await self._open_connection(), False, False
        except BaseException:
            self._leave(answers)
            self._gone()
            raise

    async def _wait(self, begin: str, answers: bool) -> tuple[AsyncConnection, bool] | None:
        waiter = _Waiter(begin, answers, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._timeout):
                return await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._leave(answers)
                await _to_its_end(self._pass_back(waiter.turn.result()))
            if isinstance(error, TimeoutError):
                raise PoolTimeout(f"all {self._limit} connections were in use for {self._timeout:g} seconds") from None
            raise

    async def _pass_back(self, handed: tuple[AsyncConnection, bool] | None) -> None:
        """Whoever was handed a turn left at the same moment."""
        if handed is None:
            self._gone()
        elif handed[1]:
            await self._abandon(handed[0])
        else:
            await self._release(handed[0])

    # --- end ----------------------------------------------------------------------------------------------------------

    async def _commit(self, connection: AsyncConnection, begin: str) -> None:
        heir = self._next(begin) if self._may_chain(connection) else None
        try:
            committed = await self._say_commit(connection, chain=heir is not None)
        except BaseException:
            if heir is not None:
                self._leave(heir.answers)
                self._waiting.appendleft(heir)
            await _to_its_end(self._abandon(connection))
            raise
        if heir is None:
            await self._release(connection)
        elif heir.turn.done():
            self._leave(heir.answers)
            await self._abandon(connection)
        else:
            heir.turn.set_result((connection, True))
        if not committed:
            raise InvalidRequestError("a statement of the transaction failed and its error was kept quiet: rolled back")

    def _next(self, begin: str | None = None) -> _Waiter | None:
        """Who comes next, if their transaction begins like this."""
        while self._waiting and self._waiting[0].turn.done():
            self._waiting.popleft()
        heir = next((each for each in self._waiting if not each.turn.done() and self._may_enter(each.answers)), None)
        if heir is None or begin not in (None, heir.begin):
            return None
        self._waiting.remove(heir)
        self._enter(heir.answers)
        return heir

    async def _abandon(self, connection: AsyncConnection, *, unheard: bool = False) -> None:
        """Roll back, and keep the connection if it survived that.

        `unheard`: the server may have begun a transaction and its answer not have been read.
        """
        try:
            logical = connection.sync_connection and connection.sync_connection.get_transaction()
            if logical is not None and not connection.invalidated:
                logical.close()
            if unheard or self._is_open(connection):
                await self._say(connection, "ROLLBACK")
        except Exception:
            await self._discard(connection)
            return
        await self._release(connection)

    async def _release(self, connection: AsyncConnection) -> None:
        """Hand the connection, between transactions, to whoever waits; else keep it."""
        if not self._is_usable(connection):
            await self._discard(connection)
            return
        heir = self._next()
        if heir is not None:
            heir.turn.set_result((connection, False))
        elif len(self._idle) < self._size:
            self._keep(connection)
        else:
            await self._discard(connection)

    def _keep(self, connection: AsyncConnection) -> None:
        loop = asyncio.get_running_loop()
        self._idle.append((connection, loop.time()))
        if self._closing is None or self._closing.done() or self._closing.get_loop() is not loop:
            self._closing = loop.create_task(self._close_idle())

    async def _close_idle(self) -> None:
        """Those that lay idle for long, the longest first, until there is none left: who keeps them takes the last."""
        while self._idle:
            wait = self._idle[0][1] + self._idle_seconds - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                await _to_its_end(self._discard(self._idle.popleft()[0]))

    async def _discard(self, connection: AsyncConnection) -> None:
        self._gone()
        with suppress(Exception):  # whatever is wrong with it is why it goes
            if not connection.invalidated:
                await connection.invalidate()
            await connection.close()

    def _gone(self) -> None:
        """A place is free: whoever waits may open a connection."""
        heir = self._next()
        if heir is None:
            self._open -= 1
        else:
            heir.turn.set_result(None)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish, though the task is cancelled meanwhile."""
    await asyncio.shield(asyncio.ensure_future(work))


def info_of(connection: AsyncConnection) -> dict[Any, Any]:
    """What is kept with the driver's connection as long as that lives. Raises SQLAlchemy's errors when it is gone."""
    return connection.sync_connection.info  # type: ignore[union-attr]
