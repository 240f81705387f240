"""G8 for copies of another service's rows: versions that are numbers, read-repair, and reconciliation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import delete, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import (  # fmt: skip
    Change,
    ConfigurationError,
    DeclarationError,
    Event,
    Page,
    Portable,
    Problem,
    Query,
    Service,
    System,
    Timestamp,
    Tx,
    View,
)
from freehold.observe.metrics import METRICS
from freehold.runtime import view_reconciliation, view_rows
from freehold.runtime.host import Host
from freehold.runtime.transaction import MisuseError
from freehold.testing import ManualClock
from tests.conformance.zones import deliver
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G8")

ANN, BOB, CID, DAN = (UUID(int=n) for n in range(1, 5))


class PersonSaved(Event, name="person.saved", topic="people", key="person_id"):
    person_id: UUID
    name: str
    version: int


class Person(BaseModel):
    person_id: UUID
    name: str
    version: int
    updated_at: Timestamp


class GetPerson(Query[Person], path="/internal/people/{person_id}"):
    person_id: UUID


class GetPeople(Query[Page[Person]], path="/internal/people"):
    cursor: str | None = None
    limit: int = 100


class Base(Portable, DeclarativeBase):
    pass


class PersonRef(Base):
    __tablename__ = "person_refs"
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    is_known: Mapped[bool] = mapped_column(default=True)
    note: Mapped[str | None]
    version: Mapped[int]
    synced_at: Mapped[Timestamp]


class Letter(Base):
    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)


def people_view() -> View:
    view = View(
        "person_refs", table=PersonRef, key="person_id", version="version", synced="synced_at",
        rebuild=GetPeople, one=GetPerson,
    )  # fmt: skip

    @view.on(PersonSaved)
    def saved(event: PersonSaved) -> Change:
        return Change({"person_id": event.person_id, "name": event.name}, version=event.version)

    return view


@dataclass
class Owner:
    """The service that owns people; `descending`: its database orders ids otherwise than the copy's."""

    clock: ManualClock
    people: dict[UUID, Person] = field(default_factory=dict)
    asked: list[Query[Any]] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None
    descending: bool = False

    def save(self, person_id: UUID, name: str, version: int, *, ago: float = 3600) -> PersonSaved:
        at = self.clock.now() - timedelta(seconds=ago)
        self.people[person_id] = Person(person_id=person_id, name=name, version=version, updated_at=at)
        return PersonSaved(person_id=person_id, name=name, version=version)

    async def ask(self, query: Any, context: Any) -> Any:
        self.asked.append(query)
        answer = self._one(query) if isinstance(query, GetPerson) else self._page(query)
        if self.meanwhile is not None:
            await self.meanwhile()
        return answer

    def _one(self, query: GetPerson) -> Person:
        if query.person_id not in self.people:
            raise Problem(404, "PERSON_NOT_FOUND", "nobody")
        return self.people[query.person_id]

    def _page(self, query: GetPeople) -> Page[Person]:
        ids = sorted(self.people, reverse=self.descending)
        start = ids.index(UUID(query.cursor)) + 1 if query.cursor else 0
        page = ids[start : start + query.limit]
        return Page[Person].of([self.people[person_id] for person_id in page], query, "person_id")


@dataclass
class Keeper:
    """The service that keeps the copies."""

    host: Host
    view: View

    async def rows(self) -> dict[UUID, tuple[str, int]]:
        table: Any = PersonRef.__table__
        async with self.host.engine.read() as connection:
            rows = await connection.execute(select(table.c.person_id, table.c.name, table.c.version))
            return {person_id: (name, version) for person_id, name, version in rows}

    async def synced(self, person_id: UUID) -> datetime | None:
        table: Any = PersonRef.__table__
        async with self.host.engine.read() as connection:
            found: datetime | None = await connection.scalar(
                select(table.c.synced_at).where(table.c.person_id == person_id)
            )
            return found

    async def tell(self, *events: PersonSaved) -> None:
        await deliver(self.host, self.host.views, events)

    async def spoil(self, *statements: Any) -> None:
        async with self.host.engine.write() as connection:
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def owner(clock: ManualClock) -> Owner:
    return Owner(clock)


@pytest.fixture
async def keeper(databases: Databases, clock: ManualClock, owner: Owner) -> Keeper:
    service = Service("post", tables=Base)
    view = service.view(people_view())
    host = Host(System("town", [service]), service, await databases.open("post"), clock=clock, caller=owner)
    await host.create_tables()
    return Keeper(host, view)


def repairs() -> float:
    labels = {"service": "post", "view": "person_refs"}
    return METRICS.registry.get_sample_value("freehold_read_repairs_total", labels) or 0.0


# --- versions that are numbers --------------------------------------------------------------------------------------------


async def test_the_higher_number_wins_and_is_stored_as_it_is(keeper: Keeper, owner: Owner) -> None:
    second, first, third = owner.save(ANN, "b", 2), owner.save(ANN, "a", 1), owner.save(ANN, "c", 3)
    await keeper.tell(second)
    await keeper.tell(first)
    assert await keeper.rows() == {ANN: ("b", 2)}
    await keeper.tell(third, second)
    assert await keeper.rows() == {ANN: ("c", 3)}


async def test_the_lag_of_numbers_is_told_in_time(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    await keeper.tell(owner.save(ANN, "a", 1))
    lag = await keeper.host.views.lag("person_refs")
    assert (lag.newest, lag.delay) == (clock.now(), timedelta())


async def test_a_rebuild_by_numbers_repairs_every_row(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    people = [owner.save(person_id, "right", 5) for person_id in (ANN, BOB, CID)]
    await keeper.tell(*people, owner.save(DAN, "gone", 1))
    del owner.people[DAN]
    table: Any = PersonRef.__table__
    await keeper.spoil(
        update(table).where(table.c.person_id == ANN).values(name="wrong", version=9),
        delete(table).where(table.c.person_id == BOB),
        update(table).values(note="ours"),
    )
    new = UUID(int=5)

    async def meanwhile() -> None:
        owner.meanwhile = None
        await keeper.tell(PersonSaved(person_id=CID, name="newer", version=6))
        await keeper.tell(PersonSaved(person_id=new, name="new", version=1))

    owner.meanwhile = meanwhile
    await keeper.host.views.rebuild("person_refs", page=2)
    right = {ANN: ("right", 5), BOB: ("right", 5), CID: ("newer", 6), new: ("new", 1)}
    assert await keeper.rows() == right
    async with keeper.host.engine.read() as connection:
        assert await connection.scalar(select(table.c.note).where(table.c.person_id == CID)) == "ours"


async def test_a_version_of_the_other_kind_is_refused(keeper: Keeper, clock: ManualClock) -> None:
    keeper.view.sources[PersonSaved] = lambda event: Change({"person_id": ANN, "name": "a"}, version=clock.now())
    with pytest.raises(
        ConfigurationError, match=r"view person_refs, person\.saved: has the version datetime.* integer"
    ):
        await keeper.tell(PersonSaved(person_id=ANN, name="a", version=1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"version": "name"}, "its version name is a text"),
        ({"synced": "name"}, "synced='name' cannot hold a time"),
        ({"synced": "nothing"}, "'nothing' is not a column"),
        ({"one": GetPeople}, "one=GetPeople asks for nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        View("person_refs", table=PersonRef, key="person_id", **{"version": "version", **wrong})


async def test_synced_is_when_a_row_was_last_applied(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    first, second = owner.save(ANN, "a", 1), owner.save(ANN, "b", 2)
    await keeper.tell(second)
    applied = clock.now()
    clock.advance(seconds=5)
    await keeper.tell(first)
    assert await keeper.synced(ANN) == applied, "an older event confirms nothing"
    await keeper.tell(second)
    assert await keeper.synced(ANN) == clock.now()
    clock.advance(seconds=5)
    await keeper.host.work().reconcile(keeper.view)
    assert await keeper.synced(ANN) == clock.now(), "found to be right"


# --- read-repair ----------------------------------------------------------------------------------------------------------


async def test_a_missing_row_is_asked_for_once_and_kept(keeper: Keeper, owner: Owner) -> None:
    owner.save(ANN, "Ann", 3)
    owner.save(BOB, "Bob", 1)
    before = repairs()

    async def write(tx: Tx) -> list[tuple[str, int, bool]]:
        people = [await tx.replica(keeper.view, person_id) for person_id in (ANN, BOB, ANN)]
        tx.add(Letter(id=1))
        session = await tx.session()
        return [(person.name, person.version, person in session) for person in people if person is not None]

    assert await keeper.host.work().run(write) == [("Ann", 3, True), ("Bob", 1, True), ("Ann", 3, True)]
    assert len(owner.asked) == 2
    assert await keeper.rows() == {ANN: ("Ann", 3), BOB: ("Bob", 1)}
    assert repairs() - before == 2


async def test_a_read_only_transaction_keeps_it_afterwards(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    owner.save(ANN, "Ann", 3)
    async with keeper.host.work().transaction(readonly=True) as tx:
        ann = await tx.replica(keeper.view, ANN)
        assert (ann.name, ann.is_known, ann.note, ann.version, ann.synced_at) == ("Ann", True, None, 3, clock.now())
        assert await tx.replica(keeper.view, ANN) is ann
        assert await tx.get(PersonRef, ANN) is ann
        assert await keeper.rows() == {}
    assert await keeper.rows() == {ANN: ("Ann", 3)}
    assert len(owner.asked) == 1


async def test_a_repair_that_cannot_be_kept_fails_nobody(
    keeper: Keeper, owner: Owner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.save(ANN, "Ann", 3)
    async with keeper.host.work().transaction(readonly=True) as tx:
        assert (await tx.replica(keeper.view, ANN)).name == "Ann"

        def broken(*_: Any, **__: Any) -> Any:
            raise OSError("the disk is full")

        monkeypatch.setattr(keeper.host.engine, "write", broken)
    assert "a row that its owner told is not kept" in caplog.text


async def test_whom_the_owner_does_not_know_is_nobody(keeper: Keeper) -> None:
    async with keeper.host.work().transaction() as tx:
        assert await tx.replica(keeper.view, ANN) is None
    assert await keeper.rows() == {}


async def test_it_is_refused_after_a_write_only_where_it_would_ask(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(owner.save(ANN, "Ann", 1))
    owner.save(BOB, "Bob", 1)
    async with keeper.host.work().transaction() as tx:
        tx.add(Letter(id=1))
        assert (await tx.replica(keeper.view, ANN)).name == "Ann"
        with pytest.raises(MisuseError, match="GetPerson is asked after a write"):
            await tx.replica(keeper.view, BOB)


@pytest.mark.parametrize(("event", "wins"), [((7, "newer"), ("newer", 7)), ((2, "older"), ("told", 5))])
async def test_of_the_answer_and_an_event_meanwhile_the_newer_stays(
    keeper: Keeper, owner: Owner, event: tuple[int, str], wins: tuple[str, int]
) -> None:
    owner.save(ANN, "told", 5)
    version, name = event

    async def meanwhile() -> None:
        owner.meanwhile = None
        await keeper.tell(PersonSaved(person_id=ANN, name=name, version=version))

    owner.meanwhile = meanwhile
    async with keeper.host.work().transaction(readonly=True) as tx:
        await tx.replica(keeper.view, ANN)
    assert await keeper.rows() == {ANN: wins}


async def test_a_row_repaired_during_a_rebuild_outlives_it(keeper: Keeper, owner: Owner) -> None:
    owner.save(BOB, "Bob", 1)
    owner.save(CID, "Cid", 1)

    async def meanwhile() -> None:
        owner.meanwhile = None
        owner.save(ANN, "Ann", 1)  # before the place where the snapshot is
        async with keeper.host.work().transaction() as tx:
            await tx.replica(keeper.view, ANN)

    owner.meanwhile = meanwhile
    await keeper.host.views.rebuild("person_refs", page=1)
    assert await keeper.rows() == {ANN: ("Ann", 1), BOB: ("Bob", 1), CID: ("Cid", 1)}


async def test_a_view_without_one_and_one_of_others_are_refused(keeper: Keeper) -> None:
    keeper.view.one = None
    async with keeper.host.work().transaction() as tx:
        with pytest.raises(ConfigurationError, match="has no query for a single row"):
            await tx.replica(keeper.view, ANN)
        with pytest.raises(ConfigurationError, match="is none of post"):
            await tx.replica(people_view(), ANN)


# --- reconciliation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 100])
async def test_every_difference_is_found_and_put_right(
    keeper: Keeper, owner: Owner, page: int, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [UUID(int=n) for n in range(1, 11)]
    await keeper.tell(*(owner.save(person_id, "right", 2) for person_id in ids))
    table: Any = PersonRef.__table__
    await keeper.spoil(
        update(table).where(table.c.person_id == ids[1]).values(name="wrong"),
        update(table).where(table.c.person_id == ids[3]).values(name="stale", version=1),
        delete(table).where(table.c.person_id.in_([ids[0], ids[9]])),
    )
    del owner.people[ids[4]], owner.people[ids[5]]
    drift = await keeper.host.work().reconcile(keeper.view, page=page)
    assert drift.checked == 8
    assert drift.repaired == {"missing": 2, "different": 1, "behind": 1, "surplus": 2}
    assert await keeper.rows() == dict.fromkeys(owner.people, ("right", 2))
    assert f"view person_refs: {ids[1]} is different: name" in caplog.text
    assert not [value for value in ("wrong", "right", "stale") if value in caplog.text], "ids and columns, no values"
    labels = {"service": "post", "check": "person_refs.surplus"}
    assert (METRICS.registry.get_sample_value("reconciliation_drift_total", labels) or 0) >= 2
    assert (await keeper.host.work().reconcile(keeper.view, page=page)).repaired == {}


async def test_what_just_changed_is_not_judged(keeper: Keeper, owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    await keeper.tell(owner.save(ANN, "first", 1))
    second, new = owner.save(ANN, "second", 2, ago=59), owner.save(BOB, "new", 1, ago=59)
    caplog.set_level(logging.INFO)
    assert (await keeper.host.work().reconcile(keeper.view)).repaired == {}
    assert await keeper.rows() == {ANN: ("first", 1)}
    assert "person_refs" not in caplog.text
    await keeper.tell(second, new)
    owner.save(ANN, "third", 3, ago=61)
    owner.save(CID, "lost", 1, ago=61)
    assert (await keeper.host.work().reconcile(keeper.view)).repaired == {"behind": 1, "missing": 1}


async def test_events_that_come_meanwhile_are_no_drift(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(owner.save(ANN, "a", 1), owner.save(CID, "c", 1))

    async def meanwhile() -> None:
        owner.meanwhile = None
        await keeper.tell(owner.save(ANN, "a2", 2, ago=0), owner.save(BOB, "b", 1, ago=0))  # behind the page's back

    owner.meanwhile = meanwhile
    assert (await keeper.host.work().reconcile(keeper.view, page=1)).repaired == {}
    assert await keeper.rows() == {ANN: ("a2", 2), BOB: ("b", 1), CID: ("c", 1)}


async def test_a_row_that_comes_back_while_it_is_to_go_stays(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(owner.save(ANN, "a", 1), owner.save(BOB, "b", 1))
    del owner.people[BOB]

    async def meanwhile() -> None:
        if len(owner.asked) == 2:  # the second look, for what seems to be surplus
            await keeper.tell(PersonSaved(person_id=BOB, name="b", version=2))

    owner.meanwhile = meanwhile
    assert (await keeper.host.work().reconcile(keeper.view)).repaired == {}
    assert BOB in await keeper.rows()


async def test_databases_may_order_keys_differently(keeper: Keeper, owner: Owner) -> None:
    """What lies between two pages here may lie in another page there: that is no reason to remove it."""
    await keeper.tell(*(owner.save(UUID(int=n), "right", 1) for n in range(1, 8)))
    del owner.people[UUID(int=3)]
    owner.descending = True
    assert (await keeper.host.work().reconcile(keeper.view, page=2)).repaired == {"surplus": 1}
    assert set(await keeper.rows()) == set(owner.people)


async def test_no_more_than_so_many_surplus_rows_are_remembered(
    keeper: Keeper, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_reconciliation, "SURPLUS", 2)
    monkeypatch.setattr(view_rows, "CHUNK", 2)
    await keeper.tell(*(owner.save(UUID(int=n), "gone", 1) for n in range(1, 6)))
    owner.people.clear()
    left = []
    for _ in range(3):
        await keeper.host.work().reconcile(keeper.view)
        left.append(len(await keeper.rows()))
    assert left == [3, 1, 0]
