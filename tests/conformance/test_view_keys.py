"""G8 for a view whose rows are found by several columns."""

from __future__ import annotations

import random
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
    Portable,
    Query,
    Service,
    System,
    Timestamp,
    View,
)
from freehold.inspect.describe import describe
from freehold.runtime import view_rows
from freehold.runtime.host import Host
from freehold.runtime.views import Views
from freehold.testing import ManualClock
from tests.conformance.zones import deliver
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G8")

ANN, BOB = UUID(int=1), UUID(int=2)
Key = tuple[UUID, int]


class Joined(Event, name="member.joined", topic="members", key="user_id"):
    user_id: UUID
    event_id: int
    role: str
    version_at: Timestamp


class Muted(Event, name="member.muted", topic="members", key="user_id"):
    user_id: UUID
    event_id: int
    version_at: Timestamp


class UserRenamed(Event, name="user.renamed", topic="users", key="user_id"):
    user_id: UUID
    user_name: str
    version_at: Timestamp


class Page(BaseModel):
    data: list[dict[str, Any]]
    next_cursor: str | None = None


class GetMembers(Query[Page], path="/internal/members"):
    cursor: str | None = None
    limit: int = 100


class Base(Portable, DeclarativeBase):
    pass


class Member(Base):
    __tablename__ = "members"
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[str]
    user_name: Mapped[str | None]
    muted: Mapped[bool] = mapped_column(default=False)
    version_at: Mapped[Timestamp]


def members() -> View:
    view = View("members", table=Member, key=("user_id", "event_id"), rebuild=GetMembers)

    @view.on(Joined)
    def joined(event: Joined) -> Change:
        return Change(event.model_dump(exclude={"version_at"}), event.version_at)

    @view.on(Muted)
    def muted(event: Muted) -> Change:
        return Change({"user_id": event.user_id, "event_id": event.event_id, "muted": True}, event.version_at)

    @view.on(UserRenamed)
    def renamed(event: UserRenamed) -> Change:
        return Change({"user_name": event.user_name}, event.version_at, where={"user_id": event.user_id})

    return view


class Owner:
    """Answers the snapshot, in the order of the key."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    async def ask(self, query: Any, context: Any) -> Any:
        start = int(query.cursor or 0)
        end = start + query.limit
        page = Page(data=self.rows[start:end], next_cursor=str(end) if end < len(self.rows) else None)
        return Page.model_validate_json(page.model_dump_json())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
async def keeper(databases: Databases, clock: ManualClock, owner: Owner) -> tuple[Host, Views]:
    service = Service("forum", tables=Base, asks=[GetMembers])
    service.view(members())
    host = Host(System("club", [service]), service, await databases.open("forum"), clock=clock, caller=owner)
    await host.create_tables()
    return host, Views(host)


async def shown(host: Host) -> dict[Key, tuple[str, str | None, bool]]:
    table: Any = Member.__table__
    columns = ("user_id", "event_id", "role", "user_name", "muted")
    async with host.engine.read() as connection:
        rows = await connection.execute(select(*(table.c[name] for name in columns)))
        return {(user, event): (role, name, muted) for user, event, role, name, muted in rows}


def joined(clock: ManualClock, user: UUID, event: int, role: str, **late: float) -> Joined:
    return Joined(user_id=user, event_id=event, role=role, version_at=clock.now() - timedelta(**late))


async def test_rows_are_told_apart_by_the_whole_key(keeper: tuple[Host, Views], clock: ManualClock) -> None:
    host, views = keeper
    await deliver(
        host, views, [joined(clock, ANN, 1, "host"), joined(clock, ANN, 2, "guest"), joined(clock, BOB, 1, "guest")]
    )
    await deliver(
        host, views, [joined(clock, ANN, 2, "late", seconds=1), Muted(user_id=BOB, event_id=1, version_at=clock.now())]
    )
    assert await shown(host) == {
        (ANN, 1): ("host", None, False),
        (ANN, 2): ("guest", None, False),
        (BOB, 1): ("guest", None, True),
    }


async def test_what_comes_too_early_waits_for_its_row(keeper: tuple[Host, Views], clock: ManualClock) -> None:
    host, views = keeper
    await deliver(host, views, [Muted(user_id=ANN, event_id=2, version_at=clock.now())])
    await deliver(host, views, [UserRenamed(user_id=ANN, user_name="Ann", version_at=clock.now())])
    assert await shown(host) == {}
    await deliver(host, views, [joined(clock, ANN, 1, "host", seconds=5), joined(clock, ANN, 2, "guest", seconds=5)])
    await deliver(host, views, [joined(clock, BOB, 2, "guest")])
    assert await shown(host) == {
        (ANN, 1): ("host", "Ann", False),
        (ANN, 2): ("guest", "Ann", True),
        (BOB, 2): ("guest", None, False),
    }


async def test_a_rebuild_repairs_every_row(
    keeper: tuple[Host, Views], owner: Owner, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_rows, "CHUNK", 3)  # so that its rows are read, and taken over, in several steps
    host, views = keeper
    rng = random.Random(7)
    events = [joined(clock, user, event, f"role {event}") for user in (ANN, BOB, UUID(int=3)) for event in range(1, 6)]
    rng.shuffle(events)
    await deliver(host, views, [*events, UserRenamed(user_id=BOB, user_name="Bob", version_at=clock.now())])
    truth = await shown(host)
    owner.rows = [_row(key, values, clock.now()) for key, values in sorted(truth.items())]
    async with host.engine.write() as connection:
        table: Any = Member.__table__
        await connection.execute(delete(table).where(table.c.event_id == 3))
        await connection.execute(
            update(table).where(table.c.user_id == ANN, table.c.event_id == 4).values(role="wrong")
        )
        bogus = {"user_id": ANN, "event_id": 9, "role": "bogus", "version_at": clock.now()}
        await connection.execute(table.insert().values(bogus))
    clock.advance(seconds=1)
    assert await views.rebuild("members", page=4) == 15
    assert await shown(host) == truth
    await deliver(host, views, [joined(clock, ANN, 4, "older", seconds=9), joined(clock, BOB, 5, "newer")])
    truth[BOB, 5] = ("newer", "Bob", False)
    assert await shown(host) == truth


def _row(key: Key, values: tuple[str, str | None, bool], at: datetime) -> dict[str, Any]:
    names = ("user_id", "event_id", "role", "user_name", "muted")
    return dict(zip(names, (*key, *values), strict=True)) | {"version_at": at}


async def test_half_a_key_finds_no_row(keeper: tuple[Host, Views], clock: ManualClock) -> None:
    host, views = keeper
    host.service.views[0].sources[Muted] = lambda event: Change({"user_id": ANN, "muted": True}, clock.now())
    with pytest.raises(ConfigurationError, match=r"view members, member\.muted: names no event_id"):
        await deliver(host, views, [Muted(user_id=ANN, event_id=1, version_at=clock.now())])


def test_it_is_described_with_all_of_its_key() -> None:
    service = Service("forum", tables=Base, asks=[GetMembers])
    service.view(members())
    (view,) = describe(System("club", [service]))["views"]
    assert view["key"] == ["user_id", "event_id"]


@pytest.mark.parametrize("key", ["user_id", ("user_id",), (), ("user_id", "role")])
def test_a_key_that_is_not_the_tables_primary_key_is_refused(key: str | tuple[str, ...]) -> None:
    with pytest.raises(DeclarationError, match="not the primary key of members") as refused:
        View("members", table=Member, key=key)
    assert "Give key=('user_id', 'event_id')" in str(refused.value)
