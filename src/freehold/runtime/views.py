"""Views: tables that mirror what other services own, kept from events and rebuilt from snapshots while being read.

Every column keeps its newest value, whatever the order in which events come, how often, and how little of a row each of
them names. All changes of one view take its row in `view_states` first: it is changed by one transaction at a time, and
batches make that fast.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.columns import as_utc
from freehold.model.errors import ConfigurationError
from freehold.model.messages import Event
from freehold.model.problem import Problem
from freehold.model.service import Handler
from freehold.model.view import Change, View
from freehold.runtime.context import NOBODY, Asking
from freehold.runtime.host import Host
from freehold.runtime.lease import Lease
from freehold.runtime.transaction import Tx
from freehold.runtime.view_rows import Generation, Key, Patch, Scoped, Scopes, Shape, overlay
from freehold.runtime.view_tables import ViewTables

log = logging.getLogger(__name__)
BATCH = 500
PAGE = 500
RESUME_LOOK, RESUME_WAIT = 5.0, 30.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a view is, as far as its own service can tell. What is still with the bus it cannot see.

    Args:
        behind: the age of the oldest event that reached this service and is not in the view; zero when there is none.
        newest: the version of the newest change that the view has; None for a view without any.
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
        self._kept = {view.name: _Kept(host, view) for view in host.service.views}
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
            raise _running(name)
        self._rebuilding.add(name)
        try:
            lease = Lease(self._host, f"view:{name}")
            if not await lease.acquire():
                raise _running(name)
            try:
                return await kept.rebuild(lease, page)
            finally:
                await lease.release()
        finally:
            self._rebuilding.discard(name)

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

    def _view(self, name: str) -> _Kept:
        if name not in self._kept:
            raise Problem(404, "UNKNOWN_VIEW", f"{self._host.service.name} has no view {name!r}")
        return self._kept[name]


class _Kept:
    """One view with its tables."""

    def __init__(self, host: Host, view: View) -> None:
        self._host = host
        self._view = view
        self.tables = ViewTables.of(view, host.tables.metadata)
        self._live = Generation(host.engine, self.tables, shadow=False)
        self._shadow = Generation(host.engine, self.tables, shadow=True)
        self._scopes = Scopes(host.engine, self.tables)
        self._adapters = self.tables.adapters()

    def handler(self) -> Handler:
        view = self._view

        async def keep(events: Sequence[Event], tx: Tx) -> None:
            changes = [(event, view.sources[type(event)](event)) for event in events]
            await self._absorb([(event, change) for event, change in changes if change is not None], tx)

        return Handler(f"view.{view.name}", tuple(view.sources), keep, batch=BATCH)

    # --- live events --------------------------------------------------------------------------------------------------

    async def _absorb(self, changes: Sequence[tuple[Event, Change]], tx: Tx) -> None:
        """Apply changes to the live rows, and to those of a rebuild that runs."""
        if not changes:
            return
        keyed, scoped = self._sort(changes)
        connection, now = await tx.connection(), tx.now()
        state = await self._lock(connection, now)
        shapes = {tuple(shape) for shape in state["scopes"]} | {change.shape for change in scoped}
        await self._scopes.remember(connection, scoped, now)
        generations = [self._live, self._shadow] if state["state"] == "rebuilding" else [self._live]
        lacking: dict[Key, Patch] = {}
        for generation in generations:
            patches = {key: dict(patch) for key, patch in keyed.items()}
            for change in scoped:
                for key in await generation.find(connection, change.where):
                    overlay(patches.setdefault(key, {}), change.patch)
            lacking |= await generation.apply(connection, patches, shapes)
        if lacking:
            # Too little to make a row of: it waits for the rest, as a change of the row with this key.
            names = self.tables.key
            waiting = [Scoped(dict(zip(names, key, strict=True)), patch) for key, patch in lacking.items()]
            await self._scopes.remember(connection, waiting, now)
            shapes.add(tuple(sorted(names)))
        newest = max(as_utc(change.version) for _, change in changes)
        is_newer = state["newest_at"] is None or newest >= state["newest_at"]
        await self._save(
            connection,
            scopes=sorted(shapes),
            **({"newest_at": newest, "applied_at": now} if is_newer else {}),
        )

    def _sort(self, changes: Sequence[tuple[Event, Change]]) -> tuple[dict[Key, Patch], list[Scoped]]:
        """Changes by key, of each column the newest; and changes of rows that are found otherwise."""
        keyed: dict[Key, Patch] = {}
        scoped: list[Scoped] = []
        for event, change in changes:
            where = change.where if change.where is not None else {}
            self._check(event, change, where)
            patch = self._patch(change.values, as_utc(change.version))
            if change.where is None:
                patch[self.tables.version] = (as_utc(change.version), as_utc(change.version))
                key = tuple(self._adapters[name].validate_python(change.values[name]) for name in self.tables.key)
                overlay(keyed.setdefault(key, {}), patch)
            else:
                scoped.append(Scoped(where, patch))
        return keyed, scoped

    def _check(self, event: Event, change: Change, where: Mapping[str, Any]) -> None:
        about = f"view {self._view.name}, {event.__message__.name}"
        known = self.tables.live.columns.keys()
        unknown = sorted((change.values.keys() | where.keys()) - set(known))
        if unknown:
            raise ConfigurationError(
                about, f"sets {', '.join(unknown)}", f"Use the table's columns: {', '.join(known)}"
            )
        unnamed = [name for name in self.tables.key if change.values.get(name) is None]
        if change.where is None and unnamed:
            raise ConfigurationError(
                about, f"names no {', '.join(unnamed)}", "Put the key among the values, or say which rows with where=…"
            )
        moved = sorted(where.keys() & change.values.keys())
        if moved or (change.where is not None and not where):
            raise ConfigurationError(
                about,
                f"finds rows by {', '.join(moved) or 'nothing'} and changes it" if moved else "has an empty where",
                "Find rows by columns that stay as they are, so that the order of events does not matter",
            )

    def _patch(self, values: Mapping[str, Any], version: datetime) -> Patch:
        return {name: (values[name], version) for name in self.tables.columns if name in values}

    # --- the view's row in view_states --------------------------------------------------------------------------------

    async def _lock(self, connection: AsyncConnection, now: datetime) -> RowMapping:
        """Hold the view against everybody else until the transaction ends; its state."""
        table = self._host.tables.views
        statement = select(table).where(table.c.name == self._view.name).with_for_update()
        row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None:
            first = {"name": self._view.name, "state": "idle", "generation": 0, "rows_read": 0, "scopes": []}
            new = self._host.engine.insert_new(table, [{**first, "updated_at": now}], key=["name"])
            await connection.execute(new)
            row = (await connection.execute(statement)).mappings().one()
        return row

    async def _save(self, connection: AsyncConnection, **values: Any) -> None:
        table = self._host.tables.views
        await connection.execute(
            update(table).where(table.c.name == self._view.name).values(updated_at=self._host.clock.now(), **values)
        )

    # --- rebuild ------------------------------------------------------------------------------------------------------

    async def rebuild(self, lease: Lease, page: int) -> int:
        """See `Views.rebuild`; the caller holds the lease."""
        query: Any = self._view.rebuild
        if query is None or not {"cursor", "limit"} <= query.model_fields.keys():
            raise ConfigurationError(
                f"view {self._view.name}",
                "has no query to be rebuilt from, with the fields cursor and limit",
                "Give View(rebuild=…) the owner's paged snapshot",
            )
        work, loop = self._host.work(), asyncio.get_running_loop()
        cursor, read = await work.run(self._begin)
        log.info("%s: view %s is rebuilt, from row %d on", self._host.service.name, self._view.name, read)
        renew_at = loop.time() + lease.ttl.total_seconds() / 3
        while True:
            asking = Asking(self._host.service.name, NOBODY)
            answer = await self._host.ask(query(cursor=cursor, limit=page), asking)
            if loop.time() >= renew_at:
                await lease.renew()
                renew_at = loop.time() + lease.ttl.total_seconds() / 3
            patches = self._read(query.__name__, answer.data)
            read += len(patches)
            cursor = answer.next_cursor
            await work.run(partial(self._take_page, lease, patches, cursor, read))
            if cursor is None:
                break
        await work.run(partial(self._switch, lease, read))
        log.info("%s: view %s is rebuilt: %d rows", self._host.service.name, self._view.name, read)
        return read

    async def _begin(self, tx: Tx) -> tuple[str | None, int]:
        """Start with an empty copy, or go on where a rebuild was cut short: its cursor, and the rows read."""
        connection = await tx.connection()
        state = await self._lock(connection, tx.now())
        if state["state"] == "rebuilding":
            return state["cursor"], state["rows_read"]
        await self._save(connection, state="rebuilding", cursor=None, rows_read=0, started_at=tx.now())
        return None, 0

    def _read(self, query: str, rows: Sequence[Any]) -> dict[Key, Patch]:
        """A page of the snapshot as patches, with values as the columns want them, whichever way they travelled."""
        patches: dict[Key, Patch] = {}
        for row in rows:
            values = {
                name: self._adapters[name].validate_python(v) for name, v in dict(row).items() if name in self._adapters
            }
            version, key = values.get(self.tables.version), tuple(values.get(name) for name in self.tables.key)
            missing = sorted((self.tables.required | {*self.tables.key, self.tables.version}) - values.keys())
            if version is None or None in key or missing:
                raise ConfigurationError(
                    f"view {self._view.name}",
                    f"a row of {query} has no {', '.join(missing) or 'key or version'}",
                    "A snapshot gives the key, the version and every column that cannot be NULL",
                )
            patch = self._patch(values, as_utc(version))
            patch[self.tables.version] = (as_utc(version), as_utc(version))
            overlay(patches.setdefault(key, {}), patch)
        return patches

    async def _locked_for(self, lease: Lease, tx: Tx) -> tuple[AsyncConnection, RowMapping, list[Shape]]:
        """The view, held, for a step of the rebuild. Raises when another process has taken the lease over."""
        connection = await tx.connection()
        state = await self._lock(connection, tx.now())
        if not await connection.scalar(select(lease.fence())) or state["state"] != "rebuilding":
            raise _running(self._view.name)
        return connection, state, [tuple(shape) for shape in state["scopes"]]

    async def _take_page(
        self, lease: Lease, patches: Mapping[Key, Patch], cursor: str | None, read: int, tx: Tx
    ) -> None:
        connection, _, shapes = await self._locked_for(lease, tx)
        await self._shadow.apply(connection, patches, shapes)
        # After the last page the old cursor stays: a crash before the switch reads that page again, to no effect.
        position = {} if cursor is None else {"cursor": cursor, "rows_read": read}
        await self._save(connection, **position)

    async def _switch(self, lease: Lease, read: int, tx: Tx) -> None:
        connection, state, shapes = await self._locked_for(lease, tx)
        await self._live.take_over(connection, self._shadow, shapes, state["started_at"])
        await self._shadow.clear(connection)
        await self._save(connection, state="idle", generation=state["generation"] + 1, cursor=None, rows_read=read)


def _running(name: str) -> Problem:
    return Problem(409, "REBUILD_RUNNING", f"the view {name} is being rebuilt")
