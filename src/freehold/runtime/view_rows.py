"""How changes become a view's rows: each column keeps its newest value, in whatever order the changes come."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import Table, and_, bindparam, delete, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import Join

from freehold.model.ports import Engine
from freehold.runtime.view_tables import ViewTables

NEVER = datetime(1, 1, 1, tzinfo=UTC)
CHUNK = 500
Key = tuple[Any, ...]
"""The values of a row's key, in the order of its columns."""
Patch = dict[str, tuple[Any, datetime]]
"""By column, a value and the moment it was true. The version column is among them."""
Shape = tuple[str, ...]
"""The columns that a change finds its rows by."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row as it is: its version, the columns that are older than that, and the columns that scopes look at."""

    version: datetime
    ages: Mapping[str, datetime]
    found_by: Mapping[str, Any]

    def age(self, column: str) -> datetime:
        """The version of one column."""
        return self.ages.get(column, self.version)


@dataclass(slots=True)
class Scoped:
    """A change of all rows with these values, whether they are there already or come later."""

    where: Mapping[str, Any]
    patch: Patch = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        return tuple(sorted(self.where))

    @property
    def id(self) -> str:
        return scope_id(self.where)


def overlay(patch: Patch, newer: Patch, *, ties: bool = True) -> None:
    """Take over what is newer, column by column; of two values of one version the later one when `ties`."""
    for column, (value, version) in newer.items():
        held = patch.get(column)
        if held is None or version > held[1] or (ties and version == held[1]):
            patch[column] = (value, version)


def scope_id(where: Mapping[str, Any]) -> str:
    """The same for the same columns and values, whatever their order."""
    text = json.dumps([[name, to_jsonable_python(where[name])] for name in sorted(where)])
    return hashlib.sha256(text.encode()).hexdigest()


class Scopes:
    """Changes of rows that are found by other columns than the key, remembered for rows that come later."""

    def __init__(self, engine: Engine, tables: ViewTables) -> None:
        self._engine = engine
        self._table = tables.scopes
        self._columns = tables.columns

    async def remember(self, connection: AsyncConnection, changes: Iterable[Scoped], now: datetime) -> None:
        """Merge the changes into what is remembered of the same rows."""
        patches: dict[str, Patch] = {}
        for change in changes:
            overlay(patches.setdefault(change.id, {}), change.patch)
        for ids in chunks(list(patches)):
            for scope, earlier in (await self.recall(connection, ids)).items():
                overlay(earlier, patches[scope])
                patches[scope] = earlier
            rows = [self._row(scope, patches[scope], now) for scope in ids]
            await connection.execute(self._engine.upsert(self._table, rows, key=["scope__id"]))

    def _row(self, scope: str, patch: Patch, now: datetime) -> dict[str, Any]:
        return {
            "scope__id": scope,
            "scope__at": now,
            "scope__versions": {name: patch[name][1].isoformat() for name in self._columns if name in patch},
            **{name: patch[name][0] if name in patch else None for name in self._columns},
        }

    async def recall(self, connection: AsyncConnection, ids: Collection[str]) -> dict[str, Patch]:
        """What is remembered under these ids."""
        rows = await connection.execute(select(self._table).where(self._table.c.scope__id.in_(ids)))
        return {
            row["scope__id"]: {
                name: (row[name], datetime.fromisoformat(text)) for name, text in row["scope__versions"].items()
            }
            for row in rows.mappings()
        }


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
        *,
        since: datetime = NEVER,
    ) -> dict[Key, Patch]:
        """Set what is newer; answers the patches that are too incomplete to make a row of.

        Args:
            patches: by key.
            shapes: column sets by which rows of remembered scopes are found.
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
            await self._insert(connection, {key: patch for key, patch in new.items() if key not in incomplete})
            await self._update(connection, {key: full[key] for key in held}, held, since)
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
                version or NEVER,
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

    async def _insert(self, connection: AsyncConnection, patches: Mapping[Key, Patch]) -> None:
        alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        ages: dict[Key, dict[str, datetime]] = {}
        for key, patch in patches.items():
            version = max((at for _, at in patch.values()), default=NEVER)
            alike[frozenset(patch)].append(
                {
                    **self._named(key),
                    **{name: value for name, (value, _) in patch.items()},
                    self._tables.version: version,
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
        self, connection: AsyncConnection, patches: Mapping[Key, Patch], held: Mapping[Key, Held], since: datetime
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
            values = {**{name: value for name, (value, _) in won.items()}, self._tables.version: version}
            found_by = {f"key_{name}": value for name, value in self._named(key).items()}
            alike[frozenset(won)].append({f"p_{name}": value for name, value in values.items()} | found_by)
            ages[key] = self._older(version, new)
        mine = _same(self._key, [bindparam(f"key_{column.name}") for column in self._key])
        for names, rows in alike.items():
            setting: dict[str, Any] = {name: bindparam(f"p_{name}") for name in sorted(names | {self._tables.version})}
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
        self, connection: AsyncConnection, other: Generation, shapes: Collection[Shape], started: datetime
    ) -> None:
        """Become what `other` is: its rows win by version, and against everything from before `started`; rows that it
        does not have go when they are from before then.
        """
        last: Key | None = None
        while patches := await other.page(connection, last):
            await self.apply(connection, patches, shapes, since=started)
            last = list(patches)[-1]
        mine, ages = self._table, self._tables.ages
        there = select(*other._key).where(_same(other._key, self._key)).exists()
        await connection.execute(delete(mine).where(mine.c[self._tables.version] < started, ~there))
        kept = select(*self._key).where(_same(self._key, self._ages_key)).exists()
        await connection.execute(delete(ages).where(ages.c.shadow == self._shadow, ~kept))

    async def page(self, connection: AsyncConnection, after: Key | None) -> dict[Key, Patch]:
        """The next rows by key, as patches of the columns that were ever set."""
        statement = select(self._table, self._tables.ages.c.ages.label("ages__")).select_from(self._with_ages())
        statement = statement.order_by(*self._key).limit(CHUNK)
        if after is not None:
            statement = statement.where(_behind(self._key, after))
        patches: dict[Key, Patch] = {}
        for row in (await connection.execute(statement)).mappings():
            version = row[self._tables.version]
            older = {name: datetime.fromisoformat(text) for name, text in (row["ages__"] or {}).items()}
            dated = {name: (row[name], older.get(name, version)) for name in self._columns}
            patches[tuple(row[name] for name in self._tables.key)] = {
                self._tables.version: (version, version),
                **{name: dating for name, dating in dated.items() if dating[1] != NEVER},
            }
        return patches


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """So many at a time that a statement's parameters stay within every database's limit."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


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
