"""One view at work: events go into its rows, and a rebuild reads them anew while they are read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.columns import as_utc
from freehold.model.errors import ConfigurationError
from freehold.model.messages import Event, Query
from freehold.model.service import Handler
from freehold.model.view import Change, Changes, View
from freehold.runtime.context import NOBODY, Asking
from freehold.runtime.lease import Lease
from freehold.runtime.transaction import Tx
from freehold.runtime.view_changes import NEVER, Key, Patch, Scoped, Scopes, Shape, overlay
from freehold.runtime.view_deriving import Deriving, following
from freehold.runtime.view_rows import Generation
from freehold.runtime.view_states import StateRow, rebuild_running
from freehold.runtime.view_tables import ViewTables

if TYPE_CHECKING:
    from freehold.runtime.host import Host

log = logging.getLogger(__name__)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Grip:
    """A view that this transaction holds: nobody else changes it until the end.

    Args:
        connection: the transaction's.
        state: the view's row in `view_states`.
        shapes: column sets by which rows of remembered scopes are found.
        generations: the copies of its rows that changes go into, the live one first.
    """

    connection: AsyncConnection
    state: RowMapping
    shapes: set[Shape]
    generations: Sequence[Generation]


@dataclass(frozen=True, slots=True)
class Told:
    """A row as its owner tells it, and when that changed it, as far as it says."""

    patch: Patch
    changed_at: datetime | None


class Kept:
    """One view with its tables."""

    def __init__(self, host: Host, view: View, followers: Sequence[Deriving]) -> None:
        self._host = host
        self.view = view
        self.state = StateRow(host, view.name)
        self.followers = followers
        self.tables = ViewTables.of(view, host.tables.metadata)
        self.live = Generation(host.engine, self.tables, shadow=False)
        self._shadow = Generation(host.engine, self.tables, shadow=True)
        self._scopes = Scopes(host.engine, self.tables)
        self._adapters = self.tables.adapters()

    def handler(self) -> Handler:
        view = self.view

        async def keep(events: Sequence[Event], tx: Tx) -> None:
            await self._absorb(
                [(event, change) for event in events for change in several(view.sources[type(event)](event))], tx
            )

        return Handler(f"view.{view.name}", tuple(view.sources), keep, batch=BATCH)

    # --- live events --------------------------------------------------------------------------------------------------

    async def _absorb(self, changes: Sequence[tuple[Event, Change]], tx: Tx) -> None:
        """Apply changes to the live rows, and to those of a rebuild that runs."""
        if not changes:
            return
        keyed, scoped = self._sort(changes)
        grip, now = await self.hold(tx), tx.now()
        connection, shapes = grip.connection, grip.shapes | {change.shape for change in scoped}
        await self._scopes.remember(connection, scoped, now)
        lacking: dict[Key, Patch] = {}
        for generation in grip.generations:
            patches = {key: dict(patch) for key, patch in keyed.items()}
            for change in scoped:
                for key in await generation.find(connection, change.where):
                    overlay(patches.setdefault(key, {}), change.patch)
            lacking |= await self._write(generation, patches, replace(grip, shapes=shapes), tx)
        if lacking:
            # Too little to make a row of: it waits for the rest, as a change of the row with this key.
            names = self.tables.key
            waiting = [Scoped(dict(zip(names, key, strict=True)), patch) for key, patch in lacking.items()]
            await self._scopes.remember(connection, waiting, now)
            shapes.add(tuple(sorted(names)))
        newest = self._newest(changes, tx)
        is_newer = grip.state["newest_at"] is None or newest >= grip.state["newest_at"]
        await self.state.save(
            tx,
            scopes=sorted(shapes),
            **({"newest_at": newest, "applied_at": now} if is_newer else {}),
        )

    def _newest(self, changes: Sequence[tuple[Event, Change]], tx: Tx) -> datetime:
        """The moment up to which the view knows: where versions are numbers, the time of what is being handled."""
        if not self.tables.numbered:
            return max(self.tables.moment(change.version) for _, change in changes)
        return tx.now() if tx.context.cause is None else tx.context.cause.time

    async def hold(self, tx: Tx) -> Grip:
        """Hold the view against everybody else until the transaction ends."""
        connection, state = await tx.connection(), await self.state.lock(tx)
        generations = [self.live, self._shadow] if state["state"] == "rebuilding" else [self.live]
        return Grip(connection, state, {tuple(shape) for shape in state["scopes"]}, generations)

    async def take(self, tx: Tx, patches: Mapping[Key, Patch], *, since: datetime = NEVER) -> None:
        """Apply whole rows as their owner tells them, as `Generation.apply` does."""
        grip = await self.hold(tx)
        for generation in grip.generations:
            await self._write(generation, patches, grip, tx, since)

    async def remove(self, tx: Tx, keys: Sequence[Key]) -> None:
        """Forget live rows."""
        async with following(self.followers, self.view, keys, tx):
            await self.live.remove(await tx.connection(), keys)

    async def _write(
        self, generation: Generation, patches: Mapping[Key, Patch], grip: Grip, tx: Tx, since: datetime = NEVER
    ) -> dict[Key, Patch]:
        """As `Generation.apply`; derived views follow the live rows."""
        followers = self.followers if generation is self.live else ()
        async with following(followers, self.view, list(patches), tx):
            return await generation.apply(grip.connection, patches, grip.shapes, tx.now(), since=since)

    def _sort(self, changes: Sequence[tuple[Event, Change]]) -> tuple[dict[Key, Patch], list[Scoped]]:
        """Changes by key, of each column the newest; and changes of rows that are found otherwise."""
        keyed: dict[Key, Patch] = {}
        scoped: list[Scoped] = []
        for event, change in changes:
            where = change.where if change.where is not None else {}
            self._check(event, change, where)
            version = self.tables.moment(change.version)
            patch = self._patch(change.values, version)
            if change.where is None:
                patch[self.tables.version] = (version, version)
                overlay(keyed.setdefault(self.key_of(change.values), {}), patch)
            else:
                scoped.append(Scoped(where, patch))
        return keyed, scoped

    def key_of(self, values: Mapping[str, Any]) -> Key:
        """The key among these values, whichever way they travelled."""
        return tuple(self._adapters[name].validate_python(values[name]) for name in self.tables.key)

    def _check(self, event: Event, change: Change, where: Mapping[str, Any]) -> None:
        about = f"view {self.view.name}, {event.__message__.name}"
        known = [column.name for column in self.tables.live.columns if column.name != self.tables.synced]
        if isinstance(change.version, bool) or isinstance(change.version, int) != self.tables.numbered:
            kind = "an integer" if self.tables.numbered else "a timestamp"
            raise ConfigurationError(
                about,
                f"has the version {change.version!r}, and {self.tables.version} is {kind}",
                f"Give Change(version=…) {kind}",
            )
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

    # --- rebuild ------------------------------------------------------------------------------------------------------

    async def rebuild(self, lease: Lease, page: int) -> int:
        """See `Views.rebuild`; the caller holds the lease."""
        work, loop = self._host.work(), asyncio.get_running_loop()
        queries = self.queries()
        at, cursor, read = await work.run(self._begin)
        log.info("%s: view %s is rebuilt, from row %d on", self._host.service.name, self.view.name, read)
        renew_at = loop.time() + lease.ttl.total_seconds() / 3
        while at < len(queries):
            rows, cursor = await self.ask(queries[at], cursor, page)
            if loop.time() >= renew_at:
                await lease.renew()
                renew_at = loop.time() + lease.ttl.total_seconds() / 3
            patches = {key: told.patch for key, told in self.read(queries[at], rows).items()}
            read += len(patches)
            at += cursor is None
            position = None if at == len(queries) else json.dumps([at, cursor])
            await work.run(partial(self._take_page, lease, patches, position, read))
        await work.run(partial(self._switch, lease, read))
        log.info("%s: view %s is rebuilt: %d rows", self._host.service.name, self.view.name, read)
        return read

    def queries(self) -> list[type[Query[Any]]]:
        """The owners' paged snapshots. Raises ConfigurationError where there is none."""
        queries = list(self.view.snapshots)
        if not queries or not all({"cursor", "limit"} <= query.model_fields.keys() for query in queries):
            raise ConfigurationError(
                f"view {self.view.name}",
                "has no query to be rebuilt from, with the fields cursor and limit",
                "Give View(rebuild=…) the owner's paged snapshot",
            )
        return queries

    async def ask(self, query: Any, cursor: str | None, page: int) -> tuple[Sequence[Any], str | None]:
        """A page of a snapshot, and where the next one begins."""
        asking = Asking(self._host.service.name, NOBODY)
        answer: Any = await self._host.ask(query(cursor=cursor, limit=page), asking)
        return answer.data, answer.next_cursor

    async def _begin(self, tx: Tx) -> tuple[int, str | None, int]:
        """Start with an empty copy, or go on where a rebuild was cut short: its place, and the rows read."""
        state = await self.state.begin(tx)
        if state["state"] != "rebuilding" or state["cursor"] is None:
            return 0, None, 0
        at, cursor = json.loads(state["cursor"])
        return at, cursor, state["rows_read"]

    def read(self, query: type[Query[Any]], rows: Sequence[Any]) -> dict[Key, Told]:
        """Rows that the owner told, with values as the columns want them, whichever way they travelled."""
        found: dict[Key, Told] = {}
        shape = self.view.snapshots.get(query)
        for row in rows:
            raw = dict(row)
            changes = [raw] if shape is None else [self._values(query, change) for change in several(shape(row))]
            for values in changes:
                key, patch = self._read_row(query, values)
                overlay(found.setdefault(key, Told({}, self._changed_at(raw, patch))).patch, patch)
        return found

    def _values(self, query: type[Query[Any]], change: Change) -> dict[str, Any]:
        if change.where is not None:
            raise ConfigurationError(
                f"view {self.view.name}, {query.__name__}", "has a where", "A snapshot's row names the view's key"
            )
        return {**change.values, self.tables.version: change.version}

    def _read_row(self, query: type[Query[Any]], row: Mapping[str, Any]) -> tuple[Key, Patch]:
        values = {name: self._adapters[name].validate_python(v) for name, v in row.items() if name in self._adapters}
        version, key = values.get(self.tables.version), tuple(values.get(name) for name in self.tables.key)
        missing = sorted((self.tables.required | {*self.tables.key, self.tables.version}) - values.keys())
        if version is None or None in key or missing:
            raise ConfigurationError(
                f"view {self.view.name}",
                f"a row of {query.__name__} has no {', '.join(missing) or 'key or version'}",
                "A snapshot gives the key, the version and every column that cannot be NULL",
            )
        moment = self.tables.moment(version)
        return key, {**self._patch(values, moment), self.tables.version: (moment, moment)}

    def _changed_at(self, row: Mapping[str, Any], patch: Patch) -> datetime | None:
        if not self.tables.numbered:
            return patch[self.tables.version][1]
        told = row.get("updated_at") or row.get("created_at")
        return None if told is None else as_utc(datetime.fromisoformat(told) if isinstance(told, str) else told)

    async def _hold_for(self, lease: Lease, tx: Tx) -> Grip:
        """The view, held, for a step of the rebuild. Raises when another process has taken the lease over."""
        grip = await self.hold(tx)
        if not await grip.connection.scalar(select(lease.fence())) or grip.state["state"] != "rebuilding":
            raise rebuild_running(self.view.name)
        return grip

    async def _take_page(
        self, lease: Lease, patches: Mapping[Key, Patch], position: str | None, read: int, tx: Tx
    ) -> None:
        grip = await self._hold_for(lease, tx)
        await self._shadow.apply(grip.connection, patches, grip.shapes, tx.now())
        # After the last page the old place stays: a crash before the switch reads that page again, to no effect.
        await self.state.save(tx, **({} if position is None else {"cursor": position, "rows_read": read}))

    async def _switch(self, lease: Lease, read: int, tx: Tx) -> None:
        """The live rows become those of the copy; what is derived from them is now to be computed anew."""
        grip = await self._hold_for(lease, tx)
        started = None if self.tables.numbered else grip.state["started_at"]
        await self.live.take_over(grip.connection, self._shadow, grip.shapes, tx.now(), started)
        await self._shadow.clear(grip.connection)
        generation = grip.state["generation"] + 1
        await self.state.save(tx, state="idle", generation=generation, cursor=None, rows_read=read)
        for follower in self.followers:
            await follower.state.begin(tx)


def several(changes: Changes) -> Sequence[Change]:
    """What a function of a view returned, as the changes that it is."""
    if changes is None:
        return ()
    return (changes,) if isinstance(changes, Change) else changes
