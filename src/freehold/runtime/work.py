"""The unit of work: opens transactions, commits or rolls back, runs again what lost a race."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from freehold.model.problem import Problem
from freehold.runtime.context import NOBODY, Asking, Context
from freehold.runtime.transaction import Tx

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from freehold.model.messages import Query
    from freehold.model.service import Coalescing
    from freehold.runtime.host import Host
    from freehold.runtime.once import Once

R = TypeVar("R")
T = TypeVar("T")
CONFLICT_TRIES = 10


class Work:
    """For handlers that make their own transactions: between two of them the world may be touched.

    async def process(work: Work) -> None:
        async with work.transaction() as tx:
            ...                      # commits at the end of the block
        answer = await gateway.charge(...)
        async with work.transaction() as tx:
            ...
    """

    def __init__(
        self,
        host: Host,
        context: Context = NOBODY,
        *,
        guard: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self.context = context
        self._guard = guard  # awaited first in every transaction

    def as_service(self) -> Work:
        """The same service in its own name: on behalf of no user, with the rows of every tenant."""
        return Work(self._host, Context(writes=self.context.writes), guard=self._guard)

    def now(self) -> datetime:
        """The time, from the injected clock, in UTC."""
        return self._host.clock.now()

    def use(self, kind: type[T]) -> T:
        """Settings or another provided thing, by its type."""
        return self._host.provided.use(kind)

    @asynccontextmanager
    async def transaction(self, *, readonly: bool = False) -> AsyncIterator[Tx]:
        """One transaction: commits at the block's end, rolls back when the block raises.

        A Problem with `keep=True` commits and is raised all the same. Lost races (deadlocks, serialisation failures)
        are raised; `run` repeats them.
        """
        tx = Tx(self._host, self.context, readonly=readonly)
        if self._guard is not None:
            tx.on_open(self._guard)
        if self.context.writes is not None:
            self.context.writes.follow(tx, self._host.service.name)
        kept: Problem | None = None
        try:
            try:
                yield tx
            except Problem as problem:
                if not problem.keep:
                    raise
                kept = problem
            await tx.finish()
        except BaseException as error:
            await tx.abandon(error)
            raise
        finally:
            tx.release()
        tx.committed()
        if kept is not None:
            raise kept

    async def run(
        self, function: Callable[[Tx], Awaitable[R]], *, readonly: bool = False, once: Once | None = None
    ) -> R:
        """Call the function in a transaction; the whole of it again when the database reports a lost race.

        Args:
            function: gets the transaction.
            readonly: it only reads.
            once: the idempotency key that the request came with: what the function returns is stored in its own
                transaction, and a repeated request gets that, without calling it.
        """
        if once is not None:
            return await self._host.idempotency.run(self, once, function)
        for attempt in range(1, CONFLICT_TRIES + 1):
            try:
                async with self.transaction(readonly=readonly) as tx:
                    return await function(tx)
            except Exception as error:
                if attempt == CONFLICT_TRIES or not self._host.engine.is_conflict(error):
                    raise
                await asyncio.sleep(random.uniform(0, 0.002 * 2**attempt))
        raise AssertionError("unreachable")

    async def in_steps(self, function: Callable[[], Awaitable[R]], *, once: Once) -> R:
        """Call a function that makes its own transactions; a repeated request gets what it returned at its end.

        While it runs, the key is refused. After a crash in between, the key runs again, and the function must bear
        that: `run(step, once=once.step("charge"))` is a transaction that then gives its first outcome.

        Args:
            function: what the request does.
            once: the idempotency key that the request came with.
        """
        return await self._host.idempotency.run_in_steps(self, once, function)

    async def ask(self, query: Query[R]) -> R:
        """Ask another service. Raises the Problem that it answers, or Unavailable."""
        return await self._host.ask(query, Asking(self._host.service.name, self.context))

    async def call(self, coalescing: Coalescing, argument: Any, *, once: Once | None = None) -> Any:
        """Make a coalesced call: decided together with others of its key, answered by itself.

        Args:
            coalescing: what `@service.coalesced` made of the function.
            argument: the call.
            once: the idempotency key it came with: a repeated call gets the first answer.
        """
        answer = await self._host.coalescer(coalescing).call(argument, self.context, once)
        if self.context.writes is not None:  # its batch runs in nobody's context
            self.context.writes.add(self._host.service.name)
        return answer
