"""An owner of zones and the view that another service keeps of them, for the tests of views."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Change, Event, Money, Portable, Query, Service, System, Timestamp, View
from freehold.runtime.host import Host
from freehold.runtime.view_tables import ViewTables
from freehold.runtime.views import Views
from freehold.testing import ManualClock
from tests.databases import Databases


class ZoneSet(Event, name="zone.set", topic="zones", key="zone_id"):
    zone_id: UUID
    show_id: UUID
    name: str
    show_name: str
    price: Money
    version_at: Timestamp


class SoldOut(Event, name="zone.sold_out", topic="zones", key="zone_id"):
    zone_id: UUID
    sold_out: bool
    version_at: Timestamp


class ZoneDeleted(Event, name="zone.deleted", topic="zones", key="zone_id"):
    zone_id: UUID
    version_at: Timestamp


class ShowRenamed(Event, name="show.renamed", topic="shows", key="show_id"):
    show_id: UUID
    show_name: str
    version_at: Timestamp


class Page(BaseModel):
    data: list[dict[str, Any]]
    next_cursor: str | None = None


class GetZones(Query[Page], path="/internal/zones"):
    cursor: str | None = None
    limit: int = 100


class Base(Portable, DeclarativeBase):
    pass


class Zone(Base):
    __tablename__ = "zone_directory"
    zone_id: Mapped[UUID] = mapped_column(primary_key=True)
    show_id: Mapped[UUID]
    name: Mapped[str]
    show_name: Mapped[str]
    price: Mapped[Money]
    sold_out: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str | None]  # the keeping service's own: no event names it
    version_at: Mapped[Timestamp]


def zone_view() -> View:
    view = View("zone_directory", table=Zone, key="zone_id", rebuild=GetZones)

    @view.on(ZoneSet)
    def zone_set(event: ZoneSet) -> Change:
        return Change(event.model_dump(exclude={"version_at"}), event.version_at)

    @view.on(SoldOut)
    def sold_out(event: SoldOut) -> Change:
        return Change({"zone_id": event.zone_id, "sold_out": event.sold_out}, event.version_at)

    @view.on(ZoneDeleted)
    def deleted(event: ZoneDeleted) -> Change:
        return Change({"zone_id": event.zone_id, "deleted": True}, event.version_at)

    @view.on(ShowRenamed)
    def renamed(event: ShowRenamed) -> Change:
        return Change({"show_name": event.show_name}, event.version_at, where={"show_id": event.show_id})

    return view


@dataclass
class Owner:
    """The service that owns zones: its rows, the events that are on their way, and its snapshot.

    `joined` says whether a row's version in the snapshot counts the show it tells the name of; its clock is `behind` that
    of the keeper.
    """

    clock: ManualClock
    rng: random.Random
    joined: bool = True
    behind: timedelta = timedelta()
    before_page: Callable[[], Awaitable[None]] | None = None
    rows: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    shows: dict[UUID, tuple[str, datetime]] = field(default_factory=dict)
    on_the_way: list[Event] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)

    async def ask(self, query: Any, context: Any) -> Any:
        """Carries the one query there is, through JSON as between processes."""
        self.asked.append(query.cursor)
        if self.before_page is not None:
            await self.before_page()
        ids = sorted(key for key in self.rows if query.cursor is None or str(key) > query.cursor)
        page = [self.snapshot(key) for key in ids[: query.limit]]
        more = str(ids[query.limit - 1]) if len(ids) > query.limit else None
        return Page.model_validate_json(Page(data=page, next_cursor=more).model_dump_json())

    def snapshot(self, key: UUID) -> dict[str, Any]:
        row = self.rows[key]
        name, named_at = self.shows[row["show_id"]]
        version = max(row["version_at"], named_at) if self.joined else row["version_at"]
        return {**row, "show_name": name, "version_at": version}

    def act(self) -> None:
        """Something happens: a row changes and its event is on its way."""
        now = self.clock.advance(seconds=1) - self.behind
        actions = [self._add] + [self._change, self._sell, self._rename, self._delete] * bool(self.rows)
        self.rng.choice(actions)(now)

    def _add(self, now: datetime) -> None:
        if not self.shows or self.rng.random() < 0.3:
            self.shows[UUID(int=self.rng.getrandbits(128))] = (f"show of {now:%H:%M:%S}", now)
        key = UUID(int=self.rng.getrandbits(128))
        self.rows[key] = {
            "zone_id": key,
            "show_id": self.rng.choice(list(self.shows)),
            "sold_out": False,
            "deleted": False,
        }
        self._set(key, now)

    def _change(self, now: datetime) -> None:
        self._set(self.rng.choice(list(self.rows)), now)

    def _set(self, key: UUID, now: datetime) -> None:
        row = self.rows[key]
        row |= {"name": f"zone of {now:%H:%M:%S}", "price": f"{self.rng.randrange(10000) / 100:.2f}", "version_at": now}
        self.on_the_way.append(ZoneSet(**row, show_name=self.shows[row["show_id"]][0]))

    def _sell(self, now: datetime) -> None:
        row = self.rows[self.rng.choice(list(self.rows))]
        row |= {"sold_out": not row["sold_out"], "version_at": now}
        self.on_the_way.append(SoldOut(**row))

    def _delete(self, now: datetime) -> None:
        row = self.rows[self.rng.choice(list(self.rows))]
        row |= {"deleted": True, "version_at": now}
        self.on_the_way.append(ZoneDeleted(**row))

    def _rename(self, now: datetime) -> None:
        show = self.rng.choice(list(self.shows))
        self.shows[show] = (f"show of {now:%H:%M:%S}", now)
        self.on_the_way.append(ShowRenamed(show_id=show, show_name=self.shows[show][0], version_at=now))

    def truth(self) -> dict[UUID, tuple[Any, ...]]:
        """What the view must come to say."""
        return {
            key: (
                row["show_id"],
                row["name"],
                self.shows[row["show_id"]][0],
                row["price"],
                row["sold_out"],
                row["deleted"],
            )
            for key, row in self.rows.items()
        }


class Keeper:
    """The service that keeps the view, in as many processes as a test opens."""

    def __init__(self, databases: Databases, clock: ManualClock, owner: Owner) -> None:
        self._databases = databases
        self._clock = clock
        self.owner = owner

    async def start(self) -> tuple[Host, Views]:
        """One more process."""
        service = Service("booking", tables=Base, asks=[GetZones])
        service.view(zone_view())
        engine = await self._databases.open("booking")
        host = Host(System("shop", [service]), service, engine, clock=self._clock, caller=self.owner)
        await host.create_tables()
        return host, Views(host)


async def deliver(host: Host, views: Views, events: Sequence[Event]) -> None:
    """As the consumer group does: one transaction for the batch."""
    (handler,) = views.handlers()
    await host.work().run(lambda tx: handler.function(events, tx))


async def shown(host: Host) -> dict[UUID, tuple[Any, ...]]:
    """What the view says."""
    table: Any = Zone.__table__
    columns = [table.c[name] for name in ("show_id", "name", "show_name", "price", "sold_out", "deleted")]
    async with host.engine.read() as connection:
        rows = await connection.execute(select(table.c.zone_id, *columns))
        return {
            key: (show, name, title, f"{price:.2f}", sold, gone) for key, show, name, title, price, sold, gone in rows
        }


async def damage(host: Host, rng: random.Random, now: datetime) -> None:
    """Rows are lost, wrong, or should not be there."""
    table: Any = Zone.__table__
    bogus = {
        "zone_id": UUID(int=rng.getrandbits(128)), "show_id": UUID(int=1), "name": "bogus", "show_name": "bogus",
        "price": 1, "version_at": now,
    }  # fmt: skip
    async with host.engine.write() as connection:
        keys = list((await connection.scalars(select(table.c.zone_id))).all())
        for key in rng.sample(keys, len(keys) // 2):
            if rng.random() < 0.5:
                await connection.execute(delete(table).where(table.c.zone_id == key))
            else:
                wrong = {"name": "wrong", "version_at": rng.choice([table.c.version_at, now])}
                await connection.execute(update(table).where(table.c.zone_id == key).values(wrong))
        await connection.execute(insert(table).values(bogus))


async def empty(host: Host) -> None:
    """Ready for the next round."""
    tables = ViewTables.of(host.service.views[0], host.tables.metadata)
    async with host.engine.write() as connection:
        for table in (tables.live, tables.shadow, tables.ages, tables.scopes, host.tables.views, host.tables.leases):
            await connection.execute(delete(table))
