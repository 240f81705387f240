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
from sqlalchemy import Table, and_, bindparam, delete, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from freehold.model.ports import Engine
from freehold.runtime.view_tables import ViewTables

NEVER = datetime(1, 1, 1, tzinfo=UTC)
CHUNK = 500
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
        self._key = self._table.c[tables.key]

    async def find(self, connection: AsyncConnection, where: Mapping[str, Any]) -> list[Any]:
        """The keys of the rows with these values."""
        conditions = [_equals(self._table.c[name], value) for name, value in where.items()]
        return list((await connection.scalars(select(self._key).where(and_(true(), *conditions)))).all())

    async def apply(
        self,
        connection: AsyncConnection,
        patches: Mapping[Any, Patch],
        shapes: Collection[Shape],
        *,
        since: datetime = NEVER,
    ) -> dict[Any, Patch]:
        """Set what is newer; answers the patches that are too incomplete to make a row of.

        Args:
            patches: by key.
            shapes: column sets by which rows of remembered scopes are found.
            since: values that a row has had since before then give way whatever their version.
        """
        lacking: dict[Any, Patch] = {}
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
        self, connection: AsyncConnection, keys: Sequence[Any], shapes: Collection[Shape]
    ) -> dict[Any, Held]:
        ages = self._tables.ages
        names = sorted({name for shape in shapes for name in shape})
        joined = self._table.outerjoin(ages, (ages.c.shadow == self._shadow) & (ages.c.key == self._key))
        rows = await connection.execute(
            select(
                self._key, self._table.c[self._tables.version], ages.c.ages, *(self._table.c[name] for name in names)
            )
            .select_from(joined)
            .where(self._key.in_(keys))
        )
        return {
            key: Held(
                version or NEVER,
                {name: datetime.fromisoformat(text) for name, text in (older or {}).items()},
                dict(zip(names, values, strict=True)),
            )
            for key, version, older, *values in rows
        }

    async def _add_scopes(
        self,
        connection: AsyncConnection,
        patches: Mapping[Any, Patch],
        held: Mapping[Any, Held],
        shapes: Collection[Shape],
    ) -> None:
        """Overlay each row that has just become part of a scope with what is remembered for the scope's rows."""
        wanted: dict[str, list[Patch]] = defaultdict(list)
        for key, patch in patches.items():
            row = held.get(key)
            values = {
                **(row.found_by if row else {}),
                self._tables.key: key,
                **{name: value for name, (value, _) in patch.items()},
            }
            for shape in shapes:
                if values.keys() >= set(shape) and (row is None or any(name in patch for name in shape)):
                    wanted[scope_id({name: values[name] for name in shape})].append(patch)
        for ids in chunks(list(wanted)):
            for scope, remembered in (await self._scopes.recall(connection, ids)).items():
                for patch in wanted[scope]:
                    overlay(patch, remembered, ties=False)

    async def _insert(self, connection: AsyncConnection, patches: Mapping[Any, Patch]) -> None:
        alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        ages: dict[Any, dict[str, datetime]] = {}
        for key, patch in patches.items():
            version = max((at for _, at in patch.values()), default=NEVER)
            alike[frozenset(patch)].append(
                {
                    self._tables.key: key,
                    **{name: value for name, (value, _) in patch.items()},
                    self._tables.version: version,
                }
            )
            ages[key] = self._older(
                version, {name: patch[name][1] if name in patch else NEVER for name in self._columns}
            )
        for rows in alike.values():
            await connection.execute(
                self._engine.upsert(
                    self._table, rows, key=[self._tables.key], update=[n for n in rows[0] if n != self._tables.key]
                )
            )
        await self._age(connection, ages, clear=False)

    async def _update(
        self, connection: AsyncConnection, patches: Mapping[Any, Patch], held: Mapping[Any, Held], since: datetime
    ) -> None:
        alike: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        ages: dict[Any, dict[str, datetime]] = {}
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
            alike[frozenset(won)].append({f"p_{name}": value for name, value in values.items()} | {"p__key": key})
            ages[key] = self._older(version, new)
        for names, rows in alike.items():
            setting: dict[str, Any] = {name: bindparam(f"p_{name}") for name in sorted(names | {self._tables.version})}
            await connection.execute(update(self._table).where(self._key == bindparam("p__key")).values(setting), rows)
        await self._age(connection, ages, clear=True)

    @staticmethod
    def _older(version: datetime, ages: Mapping[str, datetime]) -> dict[str, datetime]:
        return {name: at for name, at in ages.items() if at != version}

    async def _age(
        self, connection: AsyncConnection, ages: Mapping[Any, Mapping[str, datetime]], *, clear: bool
    ) -> None:
        """Keep which columns are older than their row; a row that is of one age throughout needs no note."""
        table = self._tables.ages
        even = [key for key, older in ages.items() if not older]
        if clear and even:
            await connection.execute(delete(table).where(table.c.shadow == self._shadow, table.c.key.in_(even)))
        rows = [
            {"shadow": self._shadow, "key": key, "ages": {name: at.isoformat() for name, at in older.items()}}
            for key, older in ages.items()
            if older
        ]
        if rows:
            await connection.execute(self._engine.upsert(table, rows, key=["shadow", "key"]))

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
        last: Any = None
        while patches := await other.page(connection, last):
            await self.apply(connection, patches, shapes, since=started)
            last = list(patches)[-1]
        mine, ages = self._table, self._tables.ages
        there = select(other._key).where(other._key == self._key).exists()
        await connection.execute(delete(mine).where(mine.c[self._tables.version] < started, ~there))
        kept = select(self._key).where(self._key == ages.c.key).exists()
        await connection.execute(delete(ages).where(ages.c.shadow == self._shadow, ~kept))

    async def page(self, connection: AsyncConnection, after: Any) -> dict[Any, Patch]:
        """The next rows by key, as patches of the columns that were ever set."""
        ages = self._tables.ages
        joined = self._table.outerjoin(ages, (ages.c.shadow == self._shadow) & (ages.c.key == self._key))
        statement = (
            select(self._table, ages.c.ages.label("ages__")).select_from(joined).order_by(self._key).limit(CHUNK)
        )
        if after is not None:
            statement = statement.where(self._key > after)
        patches: dict[Any, Patch] = {}
        for row in (await connection.execute(statement)).mappings():
            version = row[self._tables.version]
            older = {name: datetime.fromisoformat(text) for name, text in (row["ages__"] or {}).items()}
            dated = {name: (row[name], older.get(name, version)) for name in self._columns}
            patches[row[self._tables.key]] = {
                self._tables.version: (version, version),
                **{name: dating for name, dating in dated.items() if dating[1] != NEVER},
            }
        return patches


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """So many at a time that a statement's parameters stay within every database's limit."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


def _equals(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value
