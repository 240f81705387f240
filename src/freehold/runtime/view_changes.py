"""Changes of a view's rows: dated column by column, and remembered for rows that come later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.ports import Engine
from freehold.runtime.view_tables import ViewTables

NEVER = datetime(1, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
CHUNK = 500
Key = tuple[Any, ...]
"""The values of a row's key, in the order of its columns."""
Patch = dict[str, tuple[Any, datetime]]
"""By column, a value and the moment it was true. The version column is among them."""
Shape = tuple[str, ...]
"""The columns that a change finds its rows by."""


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


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """So many at a time that a statement's parameters stay within every database's limit."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
