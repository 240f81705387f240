"""Views: tables that mirror what other services own, kept from events and rebuilt from snapshots while being read.

Every column keeps its newest value, whatever the order in which events come, how often, and how little of a row each of
them names. All changes of one view take its row in `view_states` first: it is changed by one transaction at a time, and
batches make that fast.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, func, select

from freehold.model.derived import Derived
from freehold.model.errors import ConfigurationError
from freehold.model.problem import Problem
from freehold.model.service import Handler
from freehold.model.view import GRACE, PAGE, Drift, View
from freehold.runtime.lease import Lease
from freehold.runtime.transaction import Tx
from freehold.runtime.view_deriving import Deriving
from freehold.runtime.view_keeping import Kept
from freehold.runtime.view_reconciliation import Reconciliation
from freehold.runtime.view_repair import repair
from freehold.runtime.view_states import rebuild_running

if TYPE_CHECKING:
    from freehold.runtime.host import Host

log = logging.getLogger(__name__)
RESUME_LOOK, RESUME_WAIT = 5.0, 30.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a view is, as far as its own service can tell. What is still with the bus it cannot see.

    Args:
        behind: the age of the oldest event that reached this service and is not in the view; zero when there is none.
        newest: the version of the newest change that the view has; None for a view without any. Where versions are
            numbers, the time of the newest event (of one batch, of its first).
        delay: how old that change was when it was applied, both services' clocks being right.
    """

    behind: timedelta
    newest: datetime | None
    delay: timedelta | None


@dataclass(frozen=True, slots=True)
class ViewState:
    """Where a view stands. `generation` counts finished rebuilds; `rows_read` are those of the running or last one."""

    name: str
    state: str
    generation: int
    cursor: str | None
    rows_read: int
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class ViewReport:
    """A view as operators see it; for `behind_seconds` and `newest` see `Lag`."""

    state: str
    generation: int
    rows: int
    behind_seconds: float
    newest: datetime | None


class Views:
    """The views of one running service."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._derived = {derived.name: Deriving(host, derived) for derived in host.service.derived}
        self._kept = {view.name: Kept(host, view, self._followers(view)) for view in host.service.views}
        self._rebuilding: set[str] = set()

    def _followers(self, view: View) -> list[Deriving]:
        """The derived views that follow from this one, in the order in which they are held."""
        return [self._derived[name] for name in sorted(self._derived) if view in self._derived[name].derived.followed]

    def handlers(self) -> list[Handler]:
        """One for each view that is kept from events, for the consumer group."""
        return [kept.handler() for kept in self._kept.values()]

    async def rebuild(self, name: str, *, page: int = PAGE) -> int:
        """Read the view anew from its owner's snapshot while it serves reads and takes events; how many rows were read.

        Rows are read into a copy that live events reach too. In the end one transaction takes it over: what it says
        replaces everything that the view knew before the rebuild, and wins by version against what came since; columns
        that the snapshot does not name stay; rows that it does not have, and that are older than the rebuild, go. A
        rebuild that was cut short, by a crash or an owner that did not answer, goes on at the page where it was.

        For a derived view, every view that it follows is rebuilt, and then one transaction computes all of its rows
        anew. So are those of the other derived views that follow these.

        Raises a 409 Problem `REBUILD_RUNNING` while another one runs, a 404 Problem for an unknown view, and
        ConfigurationError for a view without a rebuild query or a snapshot that does not fit.
        """
        if name not in self._derived:
            kept = self._view(name)
            return await self._alone(name, lambda: self._rebuild([kept], kept.followers, page))
        deriving = self._derived[name]
        sources = [self.kept(view) for view in deriving.derived.followed]
        followers = dict.fromkeys(follower for kept in sources for follower in kept.followers)
        await self._host.work().run(deriving.state.begin)
        return await self._alone(name, lambda: self._rebuild(sources, list(followers), page))

    async def _alone(self, name: str, rebuild: Callable[[], Awaitable[int]]) -> int:
        if name in self._rebuilding:
            raise rebuild_running(name)
        self._rebuilding.add(name)
        try:
            return await rebuild()
        finally:
            self._rebuilding.discard(name)

    async def _rebuild(self, sources: Sequence[Kept], followers: Sequence[Deriving], page: int) -> int:
        read = 0
        for kept in sources:
            lease = Lease(self._host, f"view:{kept.view.name}")
            if not await lease.acquire():
                raise rebuild_running(kept.view.name)
            try:
                read += await kept.rebuild(lease, page)
            finally:
                await lease.release()
        for follower in followers:
            await self._host.work().run(follower.compute_all)
        return read

    async def replica(self, view: View, key: Any, tx: Tx) -> Any | None:
        """The view's row with this key, which the owner is asked for where it is missing; see `Tx.replica`."""
        return await repair(self._host, self.kept(view), key, tx)

    async def reconcile(self, view: View | Derived, *, page: int = PAGE, grace: timedelta = GRACE) -> Drift:
        """Compare the view with its owner's snapshot and repair it; see `Work.reconcile`."""
        if isinstance(view, Derived):
            return await self._derived[view.name].reconcile(page)
        return await Reconciliation(self._host, self.kept(view), page, grace).run()

    async def run(self) -> None:
        """Until cancelled, see to it that rebuilds go on: those of processes that died, or were told to rebuild and
        went away, and later those that an owner or the database did not answer.
        """
        while self._kept:
            wait = RESUME_LOOK
            try:
                await self.resume()
            except Exception:
                log.exception("%s: a rebuild cannot go on yet", self._host.service.name)
                wait = RESUME_WAIT
            await asyncio.sleep(wait)

    async def resume(self) -> list[str]:
        """Finish the rebuilds that a crash cut short, unless another process is at it; the views' names."""
        resumed = []
        for name in (*self._derived, *self._kept):  # a derived view's rebuild takes those of its sources up
            if self._rebuilding or (await self.state(name)).state != "rebuilding":
                continue
            try:
                await self.rebuild(name)
            except Problem as problem:
                if problem.code != "REBUILD_RUNNING":
                    raise
            else:
                resumed.append(name)
        return resumed

    async def state(self, name: str) -> ViewState:
        """Where the view stands. Raises a 404 Problem for an unknown one."""
        self._table(name)
        table = self._host.tables.views
        async with self._host.engine.read() as connection:
            row = (await connection.execute(select(table).where(table.c.name == name))).mappings().one_or_none()
        if row is None:
            return ViewState(name, "idle", 0, None, 0, None)
        return ViewState(**{field: row[field] for field in ViewState.__dataclass_fields__})

    async def lag(self, name: str) -> Lag:
        """How far behind the view is; see `Lag` for what that can mean. A derived view is as far behind as any that it
        follows. Raises a 404 Problem for an unknown one.
        """
        self._table(name)
        derived = self._derived.get(name)
        names = [name] if derived is None else [view.name for view in derived.derived.followed]
        states, parked = self._host.tables.views, self._host.tables.parked
        async with self._host.engine.read() as connection:
            consumers = [f"view.{each}" for each in names]
            oldest = await connection.scalar(
                select(func.min(parked.c.event_time)).where(parked.c.consumer_name.in_(consumers))
            )
            applied = select(states.c.newest_at, states.c.applied_at).where(states.c.name.in_(names))
            newest_first = applied.where(states.c.newest_at.is_not(None)).order_by(states.c.newest_at.desc()).limit(1)
            row = (await connection.execute(newest_first)).one_or_none()
        return Lag(
            behind=max(self._host.clock.now() - oldest, timedelta()) if oldest is not None else timedelta(),
            newest=None if row is None else row.newest_at,
            delay=None if row is None else row.applied_at - row.newest_at,
        )

    async def report(self, name: str) -> ViewReport:
        """The view's state with its lag and its rows, which are counted one by one: for people, not for a metric.

        Raises a 404 Problem for an unknown view.
        """
        table = self._table(name)
        state, lag = await self.state(name), await self.lag(name)
        async with self._host.engine.read() as connection:
            rows = int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
        return ViewReport(state.state, state.generation, rows, lag.behind.total_seconds(), lag.newest)

    def kept(self, view: View) -> Kept:
        """One of this service's views at work. Raises ConfigurationError for another's."""
        kept = self._kept.get(view.name)
        if kept is None or kept.view is not view:
            raise ConfigurationError(
                f"view {view.name}", f"is none of {self._host.service.name}", "Use a view that this service keeps"
            )
        return kept

    def _view(self, name: str) -> Kept:
        if name not in self._kept:
            raise Problem(404, "UNKNOWN_VIEW", f"{self._host.service.name} has no view {name!r}")
        return self._kept[name]

    def _table(self, name: str) -> Table:
        return self._derived[name].table if name in self._derived else self._view(name).tables.live
