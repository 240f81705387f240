"""Reconciliation: a view is compared with its owner's snapshot, row by row, and repaired where it drifted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from freehold.model.view import Drift
from freehold.runtime.transaction import Tx
from freehold.runtime.view_changes import NEVER, Key, Patch
from freehold.runtime.view_differences import Difference, Tally, alike
from freehold.runtime.view_keeping import Kept, Told

if TYPE_CHECKING:
    from freehold.runtime.host import Host

SURPLUS = 10_000


class Reconciliation:
    """One run over one view.

    Args:
        host: the view's service.
        kept: the view.
        page: rows of the snapshot in one answer.
        grace: what changed at its owner so recently is not judged: its event may be on its way.
    """

    def __init__(self, host: Host, kept: Kept, page: int, grace: timedelta) -> None:
        self._host = host
        self._kept = kept
        self._queries = kept.queries()
        self._page = page
        self._started = host.clock.now()
        self._settled = self._started - grace
        self._surplus: dict[Key, datetime] = {}
        self._tally = Tally(host.service.name, kept.view.name)

    async def run(self) -> Drift:
        """Compare and repair, a page at a time."""
        checked, after = 0, None
        async for told, is_last in self._pages():
            checked += len(told)
            self._tally.count(await self._host.work().run(partial(self._compare, told)))
            if told or is_last:
                upto = None if is_last else list(told)[-1]
                await self._look_for_surplus(after, upto, told)
                after = upto
        if self._surplus:
            await self._remove_surplus()
        return Drift(checked, self._tally.counts)

    async def _pages(self) -> AsyncIterator[tuple[Mapping[Key, Told], bool]]:
        """All that the owners tell; with the last page, True."""
        for query in self._queries:
            cursor: str | None = None
            while True:
                rows, cursor = await self._kept.ask(query, cursor, self._page)
                yield self._kept.read(query, rows), cursor is None and query is self._queries[-1]
                if cursor is None:
                    break

    # --- rows that the owner has --------------------------------------------------------------------------------------

    async def _compare(self, page: Mapping[Key, Told], tx: Tx) -> list[Difference]:
        grip = await self._kept.hold(tx)
        held = await self._kept.live.rows(grip.connection, list(page))
        differences: list[Difference] = []
        newer: dict[Key, Patch] = {}
        right: list[Key] = []
        for key, told in page.items():
            patch = told.patch
            found = self._difference(key, patch, held.get(key))
            is_behind = key not in held or any(held[key][name][1] < at for name, (_, at) in patch.items())
            if found is None and not is_behind:
                right.append(key)
            elif told.changed_at is None or told.changed_at < self._settled:
                newer[key] = patch
                differences += [found] if found is not None else []
        since = NEVER if self._kept.tables.numbered else self._settled
        await self._kept.take(tx, newer, since=since)
        await self._kept.live.confirm(grip.connection, right, tx.now())
        return differences

    def _difference(self, key: Key, patch: Patch, held: Patch | None) -> Difference | None:
        if held is None:
            return Difference(key, "missing")
        columns = [
            name for name in self._kept.tables.columns if name in patch and self._differs(patch[name], held[name])
        ]
        if not columns:
            return None
        is_behind = any(held[name][1] < patch[name][1] for name in columns)
        return Difference(key, "behind" if is_behind else "different", columns)

    def _differs(self, told: tuple[Any, datetime], held: tuple[Any, datetime]) -> bool:
        """Whether a value is wrong. What is newer than the owner's page came by an event after it was asked for; that
        it is long ago says so too, where versions are times.
        """
        came_later = held[1] > told[1] and (self._kept.tables.numbered or held[1] >= self._settled)
        return not came_later and not alike(told[0], held[0])

    # --- rows that the owner does not have ----------------------------------------------------------------------------

    async def _look_for_surplus(self, after: Key | None, upto: Key | None, told: Mapping[Key, Told]) -> None:
        """Remember the rows between two pages that were not told. Databases may order keys differently, and rows may
        have come meanwhile: nothing is surplus until the whole snapshot has been looked through for it.
        """
        version = self._kept.tables.version
        while len(self._surplus) < SURPLUS:
            async with self._host.engine.read() as connection:
                rows = await self._kept.live.between(connection, after, upto)
            if not rows:
                return
            for key, row in rows.items():
                if key not in told and (self._kept.tables.numbered or row[version][1] < self._started):
                    self._surplus[key] = row[version][1]
            after = list(rows)[-1]

    async def _remove_surplus(self) -> None:
        async for told, _ in self._pages():
            for key in told:
                self._surplus.pop(key, None)
            if not self._surplus:
                return
        self._tally.count(await self._host.work().run(self._remove))

    async def _remove(self, tx: Tx) -> list[Difference]:
        """Those that no event has touched since."""
        grip = await self._kept.hold(tx)
        version = self._kept.tables.version
        held = await self._kept.live.rows(grip.connection, list(self._surplus))
        keys = [key for key, row in held.items() if row[version][1] == self._surplus[key]]
        await self._kept.remove(tx, keys)
        return [Difference(key, "surplus") for key in keys]
