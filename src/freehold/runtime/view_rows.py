"""How changes become a view's rows: each column keeps its newest value, in whatever order the changes come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, and_, bindparam, delete, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import Join

from freehold.model.ports import Engine
from freehold.runtime.view_changes import CHUNK, FOREVER, NEVER, Key, Patch, Scopes, Shape, chunks, overlay, scope_id
from freehold.runtime.view_tables import ViewTables


@dataclass(frozen=True, slots=True)
class Held:
    """A row as it is: its version, the columns that are older than that, and the columns that scopes look at."""

    version: datetime
    ages: Mapping[str, datetime]
    found_by: Mapping[str, Any]

    def age(self, column: str) -> datetime:
        """The version of one column."""
        return self.ages.get(column, self.version)


class Generation:
    """One copy of a view's rows. Whoever changes it holds the view's lock."""

    def __init__(self, engine: Engine, tables: ViewTables, *, shadow: bool) -> None:
        self._engine = engine
        self._tables = tables
        self._table: Table = tables.shadow if shadow else tables.live
        self._shadow = shadow
        self._required = tables.required
        self._columns = tables.columns
        self._scopes = Scopes(engine, tables)
        self._key = [self._table.c[name] for name in tables.key]
        self._ages_key = [tables.ages.c[name] for name in tables.ages_key]

    async def find(self, connection: AsyncConnection, where: Mapping[str, Any]) -> list[Key]:
        """The keys of the rows with these values."""
        conditions = [_equals(self._table.c[name], value) for name, value in where.items()]
        return [tuple(row) for row in await connection.execute(select(*self._key).where(and_(true(), *conditions)))]

    async def apply(
        self,
        connection: AsyncConnection,
        patches: Mapping[Key, Patch],
        shapes: Collection[Shape],
        now: datetime,
        *,
        since: datetime = NEVER,
    ) -> dict[Key, Patch]:
        """Set what is newer; answers the patches that are too incomplete to make a row of.

        Args:
            patches: by key.
            shapes: column sets by which rows of remembered scopes are found.
            now: when this is said; for the view's `synced`.
            since: values that a row has had since before then give way whatever their version.
        """
        lacking: dict[Key, Patch] = {}
        for keys in chunks(list(patches)):
            held = await self._held(connection, keys, shapes)
            full = {key: dict(patches[key]) for key in keys}
            await self._add_scopes(connection, full, held, shapes)
            new = {key: patch for key, patch in full.items() if key not in held}
            incomplete = {key: patch for key, patch in new.items() if self._required - patch.keys()}
            lacking |= {key: patches[key] for key in incomplete}
            await self._insert(connection, {key: patch for key, patch in new.items() if key not in incomplete}, now)
            await self._update(connection, {key: full[key] for key in held}, held, now, since)
        return lacking

    async def _held(
        self, connection: AsyncConnection, keys: Sequence[Key], shapes: Collection[Shape]
    ) -> dict[Key, Held]:
        names = sorted({name for shape in shapes for name in shape})
        version_of, ages = self._table.c[self._tables.version], self._tables.ages.c.ages
        rows = await connection.execute(
            select(version_of, ages, *self._key, *(self._table.c[name] for name in names))
            .select_from(self._with_ages())
            .where(_among(self._key, keys))
        )
        width = len(self._key)
        return {
            tuple(values[:width]): Held(
                NEVER if version is None else self._tables.moment(version),
                {name: datetime.fromisoformat(text) for name, text in (older or {}).items()},
                dict(zip(names, values[width:], strict=True)),
            )
            for version, older, *values in rows
        }

    def _with_ages(self) -> Join:
        """The rows, with their ages where they have any."""
        ages = self._tables.ages
        return self._table.outerjoin(ages, (ages.c.shadow == self._shadow) & _same(self._ages_key, self._key))

    async def _add_scopes(
        self,
        connection: AsyncConnection,
        patches: Mapping[Key, Patch],
        held: Mapping[Key, Held],
        shapes: Collection[Shape],
    ) -> None:
        """Overlay each row that has just become part of a scope with what is remembered for the scope's rows."""
        wanted: dict[str, list[Patch]] = defaultdict(list)
        for key, patch in patches.items():
            row = held.get(key)
            values = {
                **(row.found_by if row else {}),
                **self._named(key),
                **{name: value for name, (value, _) in patch.items()},
            }
            for shape in shapes:
                if values.keys() >= set(shape) and (row is None or any(name in patch for name in shape)):
                    wanted[scope_id({name: values[name] for name in shape})].append(patch)
        for ids in chunks(list(wanted)):
            for scope, remembered in (await self._scopes.recall(connection, ids)).items():
                for patch in wanted[scope]:
                    overlay(patch, remembered, ties=False)

    def _named(self, key: Key) -> dict[str, Any]:
        return dict(zip(self._tables.key, key, strict=True))

    def _stamped(self, version: datetime, now: datetime) -> dict[str, Any]:
        """What every row gets that is written."""
        stamp = {self._tables.version: self._tables.stored(version)}
        return stamp if self._tables.synced is None else {**stamp, self._tables.synced: now}

    async def _insert(self, connection: AsyncConnection, patches: Mapping[Key, Patch], now: datetime) -> None:
        alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        ages: dict[Key, dict[str, datetime]] = {}
        for key, patch in patches.items():
            version = max((at for _, at in patch.values()), default=NEVER)
            alike[frozenset(patch)].append(
                {
                    **self._named(key),
                    **{name: value for name, (value, _) in patch.items()},
                    **self._stamped(version, now),
                }
            )
            ages[key] = self._older(
                version, {name: patch[name][1] if name in patch else NEVER for name in self._columns}
            )
        keys = self._tables.key
        for rows in alike.values():
            others = [name for name in rows[0] if name not in keys]
            await connection.execute(self._engine.upsert(self._table, rows, key=list(keys), update=others))
        await self._age(connection, ages, clear=False)

    async def _update(
        self,
        connection: AsyncConnection,
        patches: Mapping[Key, Patch],
        held: Mapping[Key, Held],
        now: datetime,
        since: datetime,
    ) -> None:
        alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        ages: dict[Key, dict[str, datetime]] = {}
        for key, patch in patches.items():
            row = held[key]
            won = {
                name: (value, at) for name, (value, at) in patch.items() if at >= row.age(name) or row.age(name) < since
            }
            if not won:
                continue
            new = {name: won[name][1] if name in won else row.age(name) for name in self._columns}
            own = won[self._tables.version][1] if self._tables.version in won else row.version
            version = max(own, *new.values()) if new else own
            values = {**{name: value for name, (value, _) in won.items()}, **self._stamped(version, now)}
            found_by = {f"key_{name}": value for name, value in self._named(key).items()}
            alike[frozenset(values)].append({f"p_{name}": value for name, value in values.items()} | found_by)
            ages[key] = self._older(version, new)
        mine = _same(self._key, [bindparam(f"key_{column.name}") for column in self._key])
        for names, rows in alike.items():
            setting: dict[str, Any] = {name: bindparam(f"p_{name}") for name in sorted(names)}
            await connection.execute(update(self._table).where(mine).values(setting), rows)
        await self._age(connection, ages, clear=True)

    @staticmethod
    def _older(version: datetime, ages: Mapping[str, datetime]) -> dict[str, datetime]:
        return {name: at for name, at in ages.items() if at != version}

    async def _age(
        self, connection: AsyncConnection, ages: Mapping[Key, Mapping[str, datetime]], *, clear: bool
    ) -> None:
        """Keep which columns are older than their row; a row that is of one age throughout needs no note."""
        table = self._tables.ages
        even = [key for key, older in ages.items() if not older]
        if clear and even:
            await connection.execute(delete(table).where(table.c.shadow == self._shadow, _among(self._ages_key, even)))
        names = self._tables.ages_key
        rows = [
            {
                "shadow": self._shadow,
                **dict(zip(names, key, strict=True)),
                "ages": {name: at.isoformat() for name, at in older.items()},
            }
            for key, older in ages.items()
            if older
        ]
        if rows:
            await connection.execute(self._engine.upsert(table, rows, key=["shadow", *names]))

    # --- whole generations --------------------------------------------------------------------------------------------

    async def clear(self, connection: AsyncConnection) -> None:
        """Forget every row."""
        await connection.execute(delete(self._table))
        await connection.execute(delete(self._tables.ages).where(self._tables.ages.c.shadow == self._shadow))

    async def take_over(
        self,
        connection: AsyncConnection,
        other: Generation,
        shapes: Collection[Shape],
        now: datetime,
        started: datetime | None,
    ) -> None:
        """Become what `other` is: its rows win by version, and against everything from before `started`; rows that it
        does not have go when they are from before then. Where versions do not tell (None), it wins in everything: it
        has what the owner said since, and every event that came since.
        """
        last: Key | None = None
        while patches := await other.page(connection, last):
            await self.apply(connection, patches, shapes, now, since=started or FOREVER)
            last = list(patches)[-1]
        mine, ages = self._table, self._tables.ages
        old = true() if started is None else mine.c[self._tables.version] < started
        there = select(*other._key).where(_same(other._key, self._key)).exists()
        await connection.execute(delete(mine).where(old, ~there))
        kept = select(*self._key).where(_same(self._key, self._ages_key)).exists()
        await connection.execute(delete(ages).where(ages.c.shadow == self._shadow, ~kept))

    async def page(self, connection: AsyncConnection, after: Key | None) -> dict[Key, Patch]:
        """The next rows by key, as patches of the columns that were ever set."""
        found = await self._read(connection, self._from(after).limit(CHUNK))
        return {
            key: {name: dating for name, dating in patch.items() if dating[1] != NEVER} for key, patch in found.items()
        }

    # --- comparing ----------------------------------------------------------------------------------------------------

    async def rows(self, connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Patch]:
        """Those of the rows that are there, every column with its age."""
        found: dict[Key, Patch] = {}
        for some in chunks(keys):
            found |= await self._read(connection, self._whole().where(_among(self._key, some)))
        return found

    async def between(
        self, connection: AsyncConnection, after: Key | None, upto: Key | None, size: int | None = None
    ) -> dict[Key, Patch]:
        """The next rows by key, behind one and up to another; None has no end."""
        statement = self._from(after).limit(size or CHUNK)
        if upto is not None:
            statement = statement.where(~_behind(self._key, upto))
        return await self._read(connection, statement)

    async def confirm(self, connection: AsyncConnection, keys: Sequence[Key], now: datetime) -> None:
        """Note that these rows are as their owner says."""
        if self._tables.synced is None:
            return
        for some in chunks(keys):
            rows = update(self._table).where(_among(self._key, some))
            await connection.execute(rows.values({self._tables.synced: now}))

    async def remove(self, connection: AsyncConnection, keys: Sequence[Key]) -> None:
        """Forget these rows."""
        ages = self._tables.ages
        for some in chunks(keys):
            await connection.execute(delete(self._table).where(_among(self._key, some)))
            await connection.execute(delete(ages).where(ages.c.shadow == self._shadow, _among(self._ages_key, some)))

    def _whole(self) -> Select[*tuple[Any, ...]]:
        return select(self._table, self._tables.ages.c.ages.label("ages__")).select_from(self._with_ages())

    def _from(self, after: Key | None) -> Select[*tuple[Any, ...]]:
        statement = self._whole().order_by(*self._key)
        return statement if after is None else statement.where(_behind(self._key, after))

    async def _read(self, connection: AsyncConnection, statement: Select[*tuple[Any, ...]]) -> dict[Key, Patch]:
        patches: dict[Key, Patch] = {}
        for row in (await connection.execute(statement)).mappings():
            version = self._tables.moment(row[self._tables.version])
            older = {name: datetime.fromisoformat(text) for name, text in (row["ages__"] or {}).items()}
            patches[tuple(row[name] for name in self._tables.key)] = {
                self._tables.version: (version, version),
                **{name: (row[name], older.get(name, version)) for name in self._columns},
            }
        return patches


def _same(some: Iterable[ColumnElement[Any]], others: Iterable[ColumnElement[Any]]) -> ColumnElement[bool]:
    return and_(*(one == other for one, other in zip(some, others, strict=True)))


def _among(columns: Sequence[ColumnElement[Any]], keys: Sequence[Key]) -> ColumnElement[bool]:
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_(keys)


def _behind(columns: Sequence[ColumnElement[Any]], key: Key) -> ColumnElement[bool]:
    """Of rows in the order of these columns, those that come later."""
    return columns[0] > key[0] if len(columns) == 1 else tuple_(*columns) > key


def _equals(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value
