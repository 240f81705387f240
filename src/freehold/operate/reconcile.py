"""Soft references over all services: rows whose target is gone, with their age, repaired as each reference declares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, and_, delete, select, tuple_, update
from sqlalchemy.engine import RowMapping

from freehold.inspect.survey import Survey
from freehold.model.columns import UtcDateTime
from freehold.model.errors import ConfigurationError
from freehold.model.ids import time_of
from freehold.model.soft_refs import OnMissing, SoftRef, soft_ref_of
from freehold.model.system import System
from freehold.runtime.host import Host
from freehold.runtime.transaction import Tx

PAGE: Final = 1000
MOMENTS: Final = ("updated_at", "created_at")
"""Columns that tell since when a row says what it says, the better one first."""
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row that refers to one that is not there.

    Args:
        reference: `service.table.column`.
        target: the column that it points to, likewise.
        row: the row's primary key, by column.
        value: what is not there.
        since: when the row was last changed, or made; None where it does not tell.
        policy: the reference's `on_missing`.
        repaired: whether this run did what the policy says.
    """

    reference: str
    target: str
    row: Mapping[str, Any]
    value: Any
    since: datetime | None
    policy: OnMissing
    repaired: bool = False

    @property
    def remains(self) -> bool:
        """Whether it is still there though nobody declared that it may be."""
        return self.policy != "keep" and not self.repaired


@dataclass(frozen=True)
class _Reference:
    """A column with a soft reference, and the column of the owner that it points to."""

    service: str
    column: Column[Any]
    declared: SoftRef
    target: Column[Any]

    def __str__(self) -> str:
        return f"{self.service}.{self.column.table.name}.{self.column.name}"

    @property
    def policy(self) -> OnMissing:
        """What is done: a column that must have a value can only be reported."""
        must = self.declared.on_missing == "nullify" and not self.column.nullable
        return "report" if must else self.declared.on_missing

    @property
    def key(self) -> Sequence[Column[Any]]:
        return list(self.column.table.primary_key.columns)


async def reconcile(
    system: System,
    hosts: Mapping[str, Host],
    *,
    grace: timedelta,
    repair: bool = False,
    page: int = PAGE,
    report: Report = lambda what, done, total: None,
) -> AsyncIterator[Orphan]:
    """Look up every soft reference between the services at its owner, a page of rows at a time; what is found.

    Each service is read, and repaired, through its own database and account. A row's repair is written with an entry in
    `audit_logs`, a page of them in one transaction; after a crash another run finds what is left. Nothing is held
    meanwhile, and memory does not grow with the tables.

    Args:
        system: whose references.
        hosts: all of its services, on their databases.
        grace: rows that changed later than this before now are not judged: what they refer to may still be on its way.
            One that tells no moment, neither by a column nor by a key that is a uuid7, is judged.
        repair: do what each reference's `on_missing` says.
        page: rows that are read at once.
        report: called with what is looked at, how many references are done, and of how many.

    Raises:
        ConfigurationError: a reference to a column there is not.
    """
    found = _references(system)
    for done, reference in enumerate(found):
        report("references", done, len(found))
        latest = hosts[reference.service].clock.now() - grace
        mends = repair and reference.policy in ("nullify", "delete")
        async for orphans in _orphans(reference, hosts, latest, page):
            if mends and orphans:
                await hosts[reference.service].work().run(partial(_repair, reference, orphans))
            for orphan in orphans:
                yield replace(orphan, repaired=mends)
    report("references", len(found), len(found))


def _references(system: System) -> list[_Reference]:
    survey = Survey(system)
    found = []
    for service, table in survey.tables():
        for column in table.columns:
            declared = soft_ref_of(column)
            if declared is None:
                continue
            target = survey.column(declared.service, declared.table, declared.column)
            if target is None:
                raise ConfigurationError(
                    f"{service.name}.{table.name}.{column.name}",
                    f"refers to {declared.target}, which there is not",
                    "Correct the reference; `freehold check` tells more",
                )
            found.append(_Reference(service.name, column, declared, target))
    return found


async def _orphans(
    reference: _Reference, hosts: Mapping[str, Host], latest: datetime, page: int
) -> AsyncIterator[list[Orphan]]:
    """The orphans of each page of rows, in the order of their keys."""
    engine, owner = hosts[reference.service].engine, hosts[reference.declared.service].engine
    key, after = reference.key, None
    moment = _moment_of(reference)
    columns = {*key, reference.column, *([moment] if moment is not None else [])}
    rows_after = select(*columns).where(reference.column.is_not(None)).order_by(*key).limit(page)
    while True:
        wanted = rows_after if after is None else rows_after.where(tuple_(*key) > tuple_(*after))
        async with engine.read() as connection:
            rows = (await connection.execute(wanted)).mappings().all()
        values = {row[reference.column] for row in rows}
        there: set[Any] = set()
        if values:
            async with owner.read() as connection:
                known = select(reference.target).where(reference.target.in_(values))
                there = set(await connection.scalars(known))
        judged = ((row, _since(row, key, moment)) for row in rows if row[reference.column] not in there)
        yield [_orphan(reference, row, since) for row, since in judged if since is None or since <= latest]
        if len(rows) < page:
            return
        after = [rows[-1][column] for column in key]


def _orphan(reference: _Reference, row: RowMapping, since: datetime | None) -> Orphan:
    return Orphan(
        str(reference),
        reference.declared.target,
        {column.name: row[column] for column in reference.key},
        row[reference.column],
        since,
        reference.policy,
    )


def _moment_of(reference: _Reference) -> Column[Any] | None:
    columns = reference.column.table.columns
    return next((columns[n] for n in MOMENTS if n in columns and isinstance(columns[n].type, UtcDateTime)), None)


def _since(row: RowMapping, key: Sequence[Column[Any]], moment: Column[Any] | None) -> datetime | None:
    if moment is not None:
        told: datetime | None = row[moment]
        return told
    value = row[key[0]] if len(key) == 1 else None
    return time_of(value) if isinstance(value, UUID) else None


async def _repair(reference: _Reference, orphans: Sequence[Orphan], tx: Tx) -> None:
    table, column = reference.column.table, reference.column
    connection = await tx.connection()
    for orphan in orphans:
        # Only what still says the same: somebody may have put it right meanwhile.
        same = and_(*(table.c[name] == value for name, value in orphan.row.items()), column == orphan.value)
        if reference.policy == "delete":
            await connection.execute(delete(table).where(same))
        else:
            await connection.execute(update(table).where(same).values({column: None}))
        row = ",".join(str(value) for value in orphan.row.values())
        tx.audit("reconcile", table.name, row, before={column.name: str(orphan.value)})
