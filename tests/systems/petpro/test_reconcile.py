"""Orphans put into every soft reference of PetPro: each is found with its age, and none that is too young to be judged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Column, Table, and_, select, update

from freehold import uuid7
from freehold.model.columns import UtcDateTime
from freehold.model.soft_refs import soft_ref_of
from freehold.operate.reconcile import Orphan, reconcile
from freehold.testing import World
from systems.petpro import demo
from systems.petpro.auth.tables import Account, Notification
from systems.petpro.booking.tables import HelpfulVote, Review
from tests.databases import Databases
from tests.systems.petpro.stage import Stage, open_stage, system

pytestmark = pytest.mark.engines(1, 4)

GRACE = timedelta(minutes=10)
EACH = 6
"""How many rows of a table get orphans of either age."""


class Found(NamedTuple):
    """An orphan, as a test puts it in and as it is found."""

    reference: str
    row: tuple[Any, ...]
    value: UUID

    @classmethod
    def of(cls, orphan: Orphan) -> Found:
        return cls(orphan.reference, tuple(orphan.row.values()), orphan.value)


class Injected(NamedTuple):
    """What was put in, by its age, and what went away with the ids that were there before."""

    old: set[Found]
    young: set[Found]
    displaced: set[tuple[str, UUID]]


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    """The demo, and what its services keep that the demo has none of; three hours ago."""
    async with open_stage(tmp_path, databases=databases) as opened:
        world = opened.world
        await demo.load({s.name: world.work(s.name) for s in system.services}, "demo", lambda *_: None)
        await world.settle()
        await world.run_due()
        users, reviews = await ids(world, "auth", Account), await ids(world, "booking", Review)
        async with world.work("auth").transaction() as tx:
            tx.add_all(
                Notification(
                    user_id=user, source_event_id=uuid7(), type="note", title="Note", content="Note",
                    created_at=tx.now(),
                )
                for user in users
            )  # fmt: skip
        async with world.work("booking").transaction() as tx:
            tx.add_all(
                HelpfulVote(review_id=review, user_id=user, created_at=tx.now())
                for review, user in zip(reviews, users, strict=False)
            )
        world.clock.advance(hours=3)
        yield opened


async def ids(world: World, service: str, table: type[Any]) -> list[UUID]:
    async with world.work(service).transaction(readonly=True) as tx:
        return list(await tx.scalars(select(table.id).order_by(table.id)))


async def look(world: World) -> list[Orphan]:
    hosts = {name: unit.host for name, unit in world.process.units.items()}
    return [orphan async for orphan in reconcile(system, hosts, grace=GRACE, page=50)]


def referring() -> Iterator[tuple[str, Table, list[Column[Any]]]]:
    """Every table with soft references, and these."""
    for service in system.services:
        for table in service.metadata.sorted_tables:
            if columns := [column for column in table.columns if soft_ref_of(column)]:
                yield service.name, table, columns


def moment_of(table: Table) -> Column[Any] | None:
    """The column that tells a row's age."""
    moments = (table.columns.get(name) for name in ("updated_at", "created_at"))
    return next((column for column in moments if column is not None and isinstance(column.type, UtcDateTime)), None)


async def inject(world: World, random: Random) -> Injected:
    """Let every soft reference of some rows of every table lead nowhere: in some for hours, in some since now."""
    injected, now = Injected(set(), set(), set()), world.clock.now()
    for service, table, columns in referring():
        async with world.process.units[service].host.engine.write() as connection:
            rows = (await connection.execute(select(table))).mappings().all()
            assert len(rows) > 1, f"{service}.{table.name} has not two rows to put orphans into"
            chosen = random.sample(rows, min(2 * EACH, len(rows)))
            for number, row in enumerate(chosen):
                is_old = number % 2 == 0
                since = now - timedelta(hours=2) if is_old else now - GRACE + timedelta(seconds=1)
                values = orphaned(table, columns, since)
                key = list(table.primary_key.columns)
                there = and_(*(column == row[column.name] for column in key))
                await connection.execute(update(table).where(there).values(values))
                place = tuple(values.get(column.name, row[column.name]) for column in key)
                for column in columns:
                    reference = f"{service}.{table.name}.{column.name}"
                    (injected.old if is_old else injected.young).add(Found(reference, place, values[column.name]))
                    injected.displaced.add((reference, row[column.name]))
    return injected


def orphaned(table: Table, columns: list[Column[Any]], since: datetime) -> dict[str, Any]:
    """The row's new values. Where no column tells its age its key does, which is a reference itself."""
    values: dict[str, Any] = {column.name: uuid7(since) for column in columns}
    moment = moment_of(table)
    if moment is not None:
        values[moment.name] = since
    else:
        assert {column.name for column in table.primary_key.columns} <= values.keys(), table.name
    return values


async def test_every_orphan_is_found_and_none_within_the_grace(stage: Stage) -> None:
    assert await look(stage.world) == []
    injected = await inject(stage.world, Random(1))
    orphans = await look(stage.world)
    # What referred to an id that the injection replaced is an orphan now as well.
    put_in = {Found.of(o): o.since for o in orphans if (o.target, o.value) not in injected.displaced}
    assert put_in.keys() == injected.old
    assert {since and stage.world.clock.now() - since for since in put_in.values()} == {timedelta(hours=2)}
    references = {f"{service}.{table.name}.{column.name}" for service, table, cs in referring() for column in cs}
    assert {found.reference for found in put_in} == references

    stage.world.clock.advance(seconds=2)
    assert injected.young <= {Found.of(orphan) for orphan in await look(stage.world)}
