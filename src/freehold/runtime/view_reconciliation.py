"""Reconciliation: a view is compared with its owner's snapshot, row by row, and repaired where it drifted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from freehold.model.columns import as_utc
from freehold.model.view import Drift
from freehold.observe.metrics import METRICS
from freehold.runtime.context import NOBODY, Asking
from freehold.runtime.transaction import Tx
from freehold.runtime.view_changes import NEVER, Key, Patch
from freehold.runtime.view_keeping import Kept

if TYPE_CHECKING:
    from freehold.runtime.host import Host

log = logging.getLogger(__name__)
SURPLUS = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as its owner says; `columns` are those that differ."""

    key: Key
    check: str
    columns: Sequence[str] = ()


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
        self._query = kept.snapshot()
        self._page = page
        self._started = host.clock.now()
        self._settled = self._started - grace
        self._surplus: dict[Key, datetime] = {}
        self._repaired: dict[str, int] = {}

    async def run(self) -> Drift:
        """Compare and repair, a page at a time."""
        checked, cursor, after = 0, None, None
        while True:
            rows, cursor = await self._told(cursor)
            patches = self._kept.read(self._query.__name__, rows)
            checked += len(patches)
            changed_at = {self._kept.key_of(dict(row)): self._changed_at(dict(row)) for row in rows}
            self._count(await self._host.work().run(partial(self._compare, patches, changed_at)))
            upto = list(patches)[-1] if cursor is not None and patches else None
            await self._look_for_surplus(after, upto, patches)
            after = upto
            if cursor is None:
                break
        if self._surplus:
            await self._remove_surplus()
        return Drift(checked, self._repaired)

    async def _told(self, cursor: str | None) -> tuple[Sequence[Any], str | None]:
        query = self._query(cursor=cursor, limit=self._page)
        answer = await self._host.ask(query, Asking(self._host.service.name, NOBODY))
        return answer.data, answer.next_cursor

    def _count(self, differences: Sequence[Difference]) -> None:
        service, view = self._host.service.name, self._kept.view.name
        for found in differences:
            self._repaired[found.check] = self._repaired.get(found.check, 0) + 1
            METRICS.drifted(service, f"{view}.{found.check}")
            columns = ", ".join(found.columns)
            log.warning(
                "%s: view %s: %s is %s%s", service, view, _name(found.key), found.check, columns and f": {columns}"
            )

    # --- rows that the owner has --------------------------------------------------------------------------------------

    async def _compare(
        self, patches: Mapping[Key, Patch], changed_at: Mapping[Key, datetime | None], tx: Tx
    ) -> list[Difference]:
        grip = await self._kept.hold(tx)
        held = await self._kept.live.rows(grip.connection, list(patches))
        differences: list[Difference] = []
        newer: dict[Key, Patch] = {}
        right: list[Key] = []
        for key, patch in patches.items():
            found = self._difference(key, patch, held.get(key))
            is_behind = key not in held or any(held[key][name][1] < at for name, (_, at) in patch.items())
            if found is None and not is_behind:
                right.append(key)
            elif (at := changed_at[key]) is None or at < self._settled:
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
        return not came_later and not _alike(told[0], held[0])

    def _changed_at(self, values: Mapping[str, Any]) -> datetime | None:
        """When the owner changed the row, as far as it says."""
        names = ("updated_at", "created_at") if self._kept.tables.numbered else (self._kept.tables.version,)
        moments = (values.get(name) for name in names)
        told = next((moment for moment in moments if moment is not None), None)
        if isinstance(told, str):
            told = datetime.fromisoformat(told)
        return as_utc(told) if isinstance(told, datetime) else None

    # --- rows that the owner does not have ----------------------------------------------------------------------------

    async def _look_for_surplus(self, after: Key | None, upto: Key | None, told: Mapping[Key, Patch]) -> None:
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
        cursor: str | None = None
        while self._surplus:
            rows, cursor = await self._told(cursor)
            for key in self._kept.read(self._query.__name__, rows):
                self._surplus.pop(key, None)
            if cursor is None:
                break
        self._count(await self._host.work().run(self._remove))

    async def _remove(self, tx: Tx) -> list[Difference]:
        """Those that no event has touched since."""
        grip = await self._kept.hold(tx)
        version = self._kept.tables.version
        held = await self._kept.live.rows(grip.connection, list(self._surplus))
        keys = [key for key, row in held.items() if row[version][1] == self._surplus[key]]
        await self._kept.live.remove(grip.connection, keys)
        return [Difference(key, "surplus") for key in keys]


def _alike(some: Any, other: Any) -> bool:
    return bool(some == other or to_jsonable_python(some) == to_jsonable_python(other))


def _name(key: Key) -> str:
    """Ids tell nothing about people; other keys may."""
    return ", ".join(str(part) if isinstance(part, UUID | int) else "…" for part in key)
