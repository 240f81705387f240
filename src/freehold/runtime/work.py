"""The unit of work: opens transactions, commits or rolls back, runs again what lost a race."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from freehold.model.problem import Problem
from freehold.model.view import GRACE, PAGE
from freehold.observe.metrics import METRICS
from freehold.runtime.context import NOBODY, Asking, Context
from freehold.runtime.transaction import Tx

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.ext.asyncio import AsyncConnection

    from freehold.model.derived import Derived
    from freehold.model.messages import Query
    from freehold.model.service import Coalescing
    from freehold.model.view import Drift, View
    from freehold.runtime.host import Host
    from freehold.runtime.once import Once
    from freehold.runtime.views import ViewReport

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
        await tx.committed()
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

    async def rebuild(self, view: View | Derived) -> int:
        """Read one of this service's views anew from its owners while it serves reads; how many rows were read.

        Raises a 409 Problem `REBUILD_RUNNING` while another one runs, and what its owners answer with: then it goes on
        where it was when it is called again.
        """
        return await self._host.views.rebuild(view.name)

    async def reconcile(self, view: View | Derived, *, page: int = PAGE, grace: timedelta = GRACE) -> Drift:
        """Compare one of this service's views with its owner's snapshot, and repair it.

        Rows are compared column by column, a page at a time. What the view has in a newer version stays, since its
        event came after the page was asked for. Rows that the owner does not have, and that no event touched
        meanwhile, go. Each row that is put right is counted in `reconciliation_drift_total` and logged by its id.

        Args:
            view: a view with a snapshot, or a derived one, whose rows are computed anew and compared.
            page: rows of the snapshot in one answer.
            grace: what changed at its owner so recently is not judged, since its event may be on its way. Where
                versions are numbers, the snapshot says when in `updated_at`; without that, every row is judged.
        """
        return await self._host.views.reconcile(view, page=page, grace=grace)

    def drifted(self, check: str) -> None:
        """Count a difference that a reconciliation of the service's own found, in `reconciliation_drift_total`.

        Args:
            check: what was compared and how it differed, like `ratings.missing`: a word of few.
        """
        METRICS.drifted(self._host.service.name, check)

    async def view_report(self, view: View | Derived) -> ViewReport:
        """Where one of this service's views stands, how far behind it is, and its rows, which are counted."""
        return await self._host.views.report(view.name)

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
