"""A derived view at work: rows are computed anew whenever what they follow from changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, select

from freehold.model.derived import Derived
from freehold.model.errors import ConfigurationError
from freehold.model.view import PAGE, Drift, View
from freehold.runtime.transaction import Tx
from freehold.runtime.view_changes import CHUNK, Key, chunks
from freehold.runtime.view_differences import Difference, Tally, alike
from freehold.runtime.view_states import StateRow

if TYPE_CHECKING:
    from freehold.runtime.host import Host

Row = Mapping[str, Any]


class Deriving:
    """One derived view with its table.

    Whoever computes rows holds the view's row in `view_states` from before it looks at what they follow from: of two
    transactions that change this, the second one sees what the first one did.
    """

    def __init__(self, host: Host, derived: Derived) -> None:
        if derived.compute is None:
            raise ConfigurationError(f"view {derived.name}", "is computed by nothing", "Add @….computes")
        self._host = host
        self._compute = derived.compute
        self.derived = derived
        self.state = StateRow(host, derived.name)
        self.table: Table = derived.table.__table__
        self._key = self.table.c[derived.key]

    async def touched(self, view: View, keys: Sequence[Key], tx: Tx) -> set[Any]:
        """The keys that follow from rows of a view."""
        plain = [key if len(view.key) > 1 else key[0] for key in keys]
        return {key for some in chunks(plain) for key in await self.derived.followed[view](some, tx) if key is not None}

    async def compute(self, keys: Iterable[Any], tx: Tx) -> list[Difference]:
        """Make the rows with these keys as they should be; what differed. The caller holds the view."""
        differences: list[Difference] = []
        for some in chunks(sorted(keys, key=str)):
            differences += await self._set(some, tx)
        return differences

    async def _set(self, keys: Sequence[Any], tx: Tx) -> list[Difference]:
        connection, name = await tx.connection(), self.derived.key
        rows = {row[name]: row for row in await self._compute(keys, tx)}
        there = await connection.execute(select(self.table).where(self._key.in_(keys)))
        held = {row[name]: dict(row) for row in there.mappings()}
        differences = [found for key in keys if (found := self._difference(key, rows.get(key), held.get(key)))]
        gone = [found.key[0] for found in differences if found.check == "surplus"]
        if gone:
            await connection.execute(delete(self.table).where(self._key.in_(gone)))
        changed = [self._stamped(rows[found.key[0]], tx) for found in differences if found.check != "surplus"]
        if changed:
            others = [column for column in changed[0] if column != name]
            await connection.execute(self._host.engine.upsert(self.table, changed, key=[name], update=others))
        return differences

    def _stamped(self, row: Row, tx: Tx) -> dict[str, Any]:
        return {**row} if self.derived.updated is None else {**row, self.derived.updated: tx.now()}

    @staticmethod
    def _difference(key: Any, row: Row | None, held: Row | None) -> Difference | None:
        if row is None:
            return None if held is None else Difference((key,), "surplus")
        if held is None:
            return Difference((key,), "missing")
        columns = [name for name, value in row.items() if not alike(value, held[name])]
        return Difference((key,), "different", columns) if columns else None

    # --- all rows -----------------------------------------------------------------------------------------------------

    async def compute_all(self, tx: Tx) -> None:
        """Make every row as it should be, and finish the rebuild, in this one transaction."""
        state, count = await self.state.lock(tx), 0
        async for keys in self._pages(tx):
            await self.compute(keys, tx)
            count += len(keys)
        generation = state["generation"] + 1
        await self.state.save(tx, state="idle", generation=generation, cursor=None, rows_read=count)

    async def _pages(self, tx: Tx, size: int = CHUNK) -> AsyncIterator[Sequence[Any]]:
        """All keys that have a row, then those that should have one; each in the order of its table."""
        last: Any = None
        while keys := await self._page(tx, last, size):
            yield keys
            last = keys[-1]
        for view in self.derived.followed:
            after: Key | None = None
            while rows := await self._followed_page(view, after, size, tx):
                touched = await self.touched(view, rows, tx)
                if new := touched - await self._known(touched, tx):
                    yield sorted(new, key=str)
                after = rows[-1]

    async def _page(self, tx: Tx, after: Any, size: int) -> Sequence[Any]:
        statement = select(self._key).order_by(self._key).limit(size)
        if after is not None:
            statement = statement.where(self._key > after)
        return (await (await tx.connection()).scalars(statement)).all()

    async def _followed_page(self, view: View, after: Key | None, size: int, tx: Tx) -> Sequence[Key]:
        rows = await self._host.views.kept(view).live.between(await tx.connection(), after, None, size)
        return list(rows)

    async def _known(self, keys: Iterable[Any], tx: Tx) -> set[Any]:
        connection, known = await tx.connection(), set[Any]()
        for some in chunks(list(keys)):
            known.update(await connection.scalars(select(self._key).where(self._key.in_(some))))
        return known

    async def reconcile(self, page: int = PAGE) -> Drift:
        """Compute every row anew and put right what differs, a page in each transaction."""
        tally, checked = Tally(self._host.service.name, self.derived.name), 0
        work = self._host.work()
        async with work.transaction(readonly=True) as tx:
            async for keys in self._pages(tx, page):
                tally.count(await work.run(partial(self._compute_held, keys)))
                checked += len(keys)
        return Drift(checked, tally.counts)

    async def _compute_held(self, keys: Sequence[Any], tx: Tx) -> list[Difference]:
        await self.state.lock(tx)
        return await self.compute(keys, tx)


@asynccontextmanager
async def following(followers: Sequence[Deriving], view: View, keys: Sequence[Key], tx: Tx) -> AsyncIterator[None]:
    """What the block does to these rows of a view, the derived views follow: before its end, and whatever followed
    from the rows as they were.
    """
    before = [await follower.touched(view, keys, tx) for follower in followers]
    yield
    for follower, touched in zip(followers, before, strict=True):
        await follower.state.lock(tx)
        await follower.compute(touched | await follower.touched(view, keys, tx), tx)
