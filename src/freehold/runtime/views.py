"""Views: tables that mirror what other services own, kept from events and rebuilt from snapshots while being read.

Every column keeps its newest value, whatever the order in which events come, how often, and how little of a row each of
them names. All changes of one view take its row in `view_states` first: it is changed by one transaction at a time, and
batches make that fast.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from freehold.model.errors import ConfigurationError
from freehold.model.problem import Problem
from freehold.model.service import Handler
from freehold.model.view import GRACE, PAGE, Drift, View
from freehold.runtime.lease import Lease
from freehold.runtime.transaction import Tx
from freehold.runtime.view_keeping import Kept, rebuild_running
from freehold.runtime.view_reconciliation import Reconciliation
from freehold.runtime.view_repair import repair

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
        self._kept = {view.name: Kept(host, view) for view in host.service.views}
        self._rebuilding: set[str] = set()

    def handlers(self) -> list[Handler]:
        """One for each view, for the consumer group."""
        return [kept.handler() for kept in self._kept.values()]

    async def rebuild(self, name: str, *, page: int = PAGE) -> int:
        """Read the view anew from its owner's snapshot while it serves reads and takes events; how many rows were read.

        Rows are read into a copy that live events reach too. In the end one transaction takes it over: what it says
        replaces everything that the view knew before the rebuild, and wins by version against what came since; columns
        that the snapshot does not name stay; rows that it does not have, and that are older than the rebuild, go. A
        rebuild that was cut short, by a crash or an owner that did not answer, goes on at the page where it was.

        Raises a 409 Problem `REBUILD_RUNNING` while another one runs, a 404 Problem for an unknown view, and
        ConfigurationError for a view without a rebuild query or a snapshot that does not fit.
        """
        kept = self._view(name)
        if name in self._rebuilding:
            raise rebuild_running(name)
        self._rebuilding.add(name)
        try:
            lease = Lease(self._host, f"view:{name}")
            if not await lease.acquire():
                raise rebuild_running(name)
            try:
                return await kept.rebuild(lease, page)
            finally:
                await lease.release()
        finally:
            self._rebuilding.discard(name)

    async def replica(self, view: View, key: Any, tx: Tx) -> Any | None:
        """The view's row with this key, which the owner is asked for where it is missing; see `Tx.replica`."""
        return await repair(self._host, self._own(view), key, tx)

    async def reconcile(self, view: View, *, page: int = PAGE, grace: timedelta = GRACE) -> Drift:
        """Compare the view with its owner's snapshot and repair it; see `Work.reconcile`."""
        return await Reconciliation(self._host, self._own(view), page, grace).run()

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
        resumed, table = [], self._host.tables.views
        async with self._host.engine.read() as connection:
            begun = list(await connection.scalars(select(table.c.name).where(table.c.state == "rebuilding")))
        for name in begun:
            if name not in self._kept:
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
        self._view(name)
        table = self._host.tables.views
        async with self._host.engine.read() as connection:
            row = (await connection.execute(select(table).where(table.c.name == name))).mappings().one_or_none()
        if row is None:
            return ViewState(name, "idle", 0, None, 0, None)
        return ViewState(**{field: row[field] for field in ViewState.__dataclass_fields__})

    async def lag(self, name: str) -> Lag:
        """How far behind the view is; see `Lag` for what that can mean. Raises a 404 Problem for an unknown one."""
        self._view(name)
        states, parked = self._host.tables.views, self._host.tables.parked
        async with self._host.engine.read() as connection:
            oldest = await connection.scalar(
                select(func.min(parked.c.event_time)).where(parked.c.consumer_name == f"view.{name}")
            )
            applied = select(states.c.newest_at, states.c.applied_at).where(states.c.name == name)
            row = (await connection.execute(applied)).one_or_none()
        newest, at = (row.newest_at, row.applied_at) if row is not None else (None, None)
        return Lag(
            behind=max(self._host.clock.now() - oldest, timedelta()) if oldest is not None else timedelta(),
            newest=newest,
            delay=at - newest if at is not None and newest is not None else None,
        )

    async def report(self, name: str) -> ViewReport:
        """The view's state with its lag and its rows, which are counted one by one: for people, not for a metric.

        Raises a 404 Problem for an unknown view.
        """
        table = self._view(name).tables.live
        state, lag = await self.state(name), await self.lag(name)
        async with self._host.engine.read() as connection:
            rows = int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
        return ViewReport(state.state, state.generation, rows, lag.behind.total_seconds(), lag.newest)

    def _own(self, view: View) -> Kept:
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
