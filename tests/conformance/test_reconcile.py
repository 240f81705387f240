"""Soft references whose target is gone are found, all of them and no others, and repaired as they declare."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import ConfigurationError, Portable, Service, System, Timestamp, soft_ref, uuid7
from freehold.operate.reconcile import Orphan, reconcile
from freehold.testing import World
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("references")
GRACE = timedelta(minutes=10)


class ShelfBase(Portable, DeclarativeBase):
    """The tables of shelves."""


class DeskBase(Portable, DeclarativeBase):
    """The tables of desk."""


class Book(ShelfBase):
    __tablename__ = "books"
    id: Mapped[UUID] = mapped_column(primary_key=True)


class Loan(DeskBase):
    """One of each policy, in a table with two keys and a moment."""

    __tablename__ = "loans"
    reader: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kept: Mapped[UUID | None] = soft_ref("shelves.books.id")
    nullified: Mapped[UUID | None] = soft_ref("shelves.books.id", on_missing="nullify")
    deleted: Mapped[UUID | None] = soft_ref("shelves.books.id", on_missing="delete")
    reported: Mapped[UUID | None] = soft_ref("shelves.books.id", on_missing="report")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]


class Wish(DeskBase):
    """Its key alone tells its age; what it must have cannot be nullified."""

    __tablename__ = "wishes"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    book_id: Mapped[UUID] = soft_ref("shelves.books.id", on_missing="nullify")


system = System("library", services=[Service("shelves", tables=ShelfBase), Service("desk", tables=DeskBase)])


@pytest.fixture
async def world(databases: Databases, tmp_path: Path) -> AsyncIterator[World]:
    urls = {service.name: await databases.url(service.name) for service in system.services}
    async with World(system, databases=urls, folder=tmp_path / "home") as opened:
        yield opened


async def found(world: World, **options: Any) -> list[Orphan]:
    hosts = {name: unit.host for name, unit in world.process.units.items()}
    return [orphan async for orphan in reconcile(system, hosts, **{"grace": GRACE, **options})]


async def lend(world: World, *loans: dict[str, Any]) -> None:
    """Store loans of now, numbered."""
    async with world.work("desk").transaction() as tx:
        for number, loan in enumerate(loans):
            tx.add(Loan(reader=number % 3, number=number, created_at=tx.now(), updated_at=tx.now(), **loan))


async def books(world: World, count: int) -> list[UUID]:
    ids = [uuid7() for _ in range(count)]
    async with world.work("shelves").transaction() as tx:
        tx.add_all([Book(id=id) for id in ids])
    return ids


async def loans(world: World) -> list[Loan]:
    async with world.work("desk").transaction(readonly=True) as tx:
        return list(await tx.scalars(select(Loan).order_by(Loan.number)))


async def test_every_orphan_is_found_and_nothing_else_however_small_the_pages(world: World) -> None:
    there = await books(world, 20)
    gone = [uuid7() for _ in range(7)]
    await lend(world, *({"reported": id} for id in [*there, *gone]), {"reported": None}, {"reported": gone[0]})
    world.clock.advance(hours=3)
    for page in (1, 2, 5, 1000):
        orphans = await found(world, page=page)
        assert sorted(str(orphan.value) for orphan in orphans) == sorted(map(str, [*gone, gone[0]])), page
        assert {orphan.reference for orphan in orphans} == {"desk.loans.reported"}
        assert {orphan.target for orphan in orphans} == {"shelves.books.id"}
        assert {world.clock.now() - orphan.since for orphan in orphans if orphan.since} == {timedelta(hours=3)}
        assert all(orphan.remains and orphan.row.keys() == {"reader", "number"} for orphan in orphans)


async def test_none_is_found_in_the_grace_window(world: World) -> None:
    await lend(world, {"reported": uuid7()}, {"deleted": uuid7()})
    world.clock.advance(minutes=9, seconds=59)
    assert await found(world, repair=True) == []
    assert len(await loans(world)) == 2
    world.clock.advance(seconds=1)
    assert len(await found(world)) == 2
    async with world.work("desk").transaction() as tx:  # what was changed since may refer to what is on its way
        (await tx.scalars(select(Loan).where(Loan.reported.is_not(None)))).one().updated_at = tx.now()
    assert [orphan.policy for orphan in await found(world)] == ["delete"]


async def test_each_is_repaired_as_its_reference_declares(world: World) -> None:
    (book,) = await books(world, 1)
    gone = uuid7()
    policies = ("kept", "nullified", "deleted", "reported")
    await lend(world, *({policy: gone} for policy in policies), dict.fromkeys(policies, book))
    world.clock.advance(hours=1)
    orphans = await found(world)
    assert [orphan.repaired for orphan in orphans] == [False] * 4
    assert len(await loans(world)) == 5, "nothing is changed unless it is asked for"

    orphans = {orphan.policy: orphan for orphan in await found(world, repair=True)}
    assert {policy: orphan.repaired for policy, orphan in orphans.items()} == {
        "keep": False, "nullify": True, "delete": True, "report": False,
    }  # fmt: skip
    assert {policy for policy, orphan in orphans.items() if orphan.remains} == {"report"}
    left = {loan.number: loan for loan in await loans(world)}
    assert left.keys() == {0, 1, 3, 4}
    assert (left[0].kept, left[1].nullified, left[3].reported) == (gone, None, gone)
    assert (left[4].kept, left[4].nullified, left[4].deleted, left[4].reported) == (book,) * 4
    assert {orphan.policy for orphan in await found(world, repair=True)} == {"keep", "report"}
    audit = world.process.units["desk"].host.tables.audit
    async with world.process.units["desk"].host.engine.read() as connection:
        told = [(row.action, row.resource, row.before) for row in await connection.execute(select(audit))]
    assert sorted(told, key=str) == [
        ("reconcile", "loans", {"deleted": str(gone)}), ("reconcile", "loans", {"nullified": str(gone)}),
    ]  # fmt: skip


async def test_a_key_tells_the_age_where_no_column_does_and_what_must_be_there_is_reported(world: World) -> None:
    old = UUID(int=(int((world.clock.now().timestamp() - 3600) * 1000) << 80) | (7 << 76) | (2 << 62))
    new = UUID(int=(int(world.clock.now().timestamp() * 1000) << 80) | (7 << 76) | (2 << 62))
    async with world.work("desk").transaction() as tx:
        tx.add_all([Wish(id=id, book_id=uuid7()) for id in (old, new, UUID(int=5))])
    orphans = {orphan.row["id"]: orphan for orphan in await found(world, repair=True)}
    assert orphans.keys() == {old, UUID(int=5)}
    assert orphans[UUID(int=5)].since is None
    since = orphans[old].since
    assert since is not None
    assert world.clock.now() - since == timedelta(hours=1)
    assert {(orphan.policy, orphan.repaired) for orphan in orphans.values()} == {("report", False)}


async def test_a_reference_to_nowhere_is_told(world: World) -> None:
    class LostBase(Portable, DeclarativeBase):
        """A table that refers to none."""

    class Lost(LostBase):
        __tablename__ = "lost"
        id: Mapped[UUID] = mapped_column(primary_key=True)
        page_id: Mapped[UUID] = soft_ref("shelves.pages.id")

    broken = System("broken", services=[*system.services, Service("lost", tables=LostBase)])
    hosts = {name: unit.host for name, unit in world.process.units.items()}
    with pytest.raises(ConfigurationError, match=r"lost\.lost\.page_id: refers to shelves\.pages\.id"):
        await anext(aiter(reconcile(broken, hosts, grace=GRACE)))
