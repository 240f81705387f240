"""G8 for views that are computed from other views of their service."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import (  # fmt: skip
    Change,
    ConfigurationError,
    DeclarationError,
    Derived,
    Event,
    Money,
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
from freehold.inspect.describe import describe
from freehold.runtime.host import Host
from freehold.testing import Crash, ManualClock, crash_at
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G8")

SHOPS = [UUID(int=n) for n in range(1, 4)]


class Sold(Event, name="item.sold", topic="items", key="item_id"):
    item_id: UUID
    shop_id: UUID
    price: Money
    version: int


class Basket(Event, name="basket.sold", topic="items", key="basket_id"):
    basket_id: UUID
    items: list[Sold]


class Renamed(Event, name="shop.renamed", topic="shops", key="shop_id"):
    shop_id: UUID
    name: str
    version: int


class ItemRow(BaseModel):
    item_id: UUID
    shop_id: UUID
    price: Money
    version: int


class ShopRow(BaseModel):
    id: UUID
    title: str
    version: int


class ListItems(Query[Page[ItemRow]], path="/internal/items"):
    cursor: str | None = None
    limit: int = 100


class ListShops(Query[Page[ShopRow]], path="/internal/shops"):
    cursor: str | None = None
    limit: int = 100


class ListClosedShops(Query[Page[ShopRow]], path="/internal/closed-shops"):
    cursor: str | None = None
    limit: int = 100


class Base(Portable, DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    shop_id: Mapped[UUID]
    price: Mapped[Money]
    version: Mapped[int]


class Shop(Base):
    __tablename__ = "shops"
    shop_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]


class Sales(Base):
    __tablename__ = "sales"
    shop_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    count: Mapped[int]
    total: Mapped[Money]
    updated_at: Mapped[Timestamp]


@dataclass
class Views:
    """The three views of a service, made anew for each test."""

    service: Service
    items: View
    shops: View
    sales: Derived


def declared() -> Views:
    service = Service("books", tables=Base)
    items = service.view(View("items", table=Item, key="item_id", version="version", rebuild=ListItems))
    shops = service.view(View("shops", table=Shop, key="shop_id", version="version"))
    sales = service.view(Derived("sales", table=Sales, key="shop_id", updated="updated_at"))

    @items.on(Sold)
    def sold(event: Sold) -> Change:
        return Change(event.model_dump(exclude={"version"}), event.version)

    @items.on(Basket)
    def basket(event: Basket) -> list[Change]:
        return [sold(item) for item in event.items]

    @shops.on(Renamed)
    def renamed(event: Renamed) -> Change:
        return Change({"shop_id": event.shop_id, "name": event.name}, event.version)

    @shops.snapshot(ListShops)
    @shops.snapshot(ListClosedShops)
    def shop(row: ShopRow) -> Change:
        return Change({"shop_id": row.id, "name": row.title}, row.version)

    @sales.follows(items)
    async def shops_of(ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
        return await tx.scalars(select(Item.shop_id).where(Item.item_id.in_(ids)))

    @sales.follows(shops)
    async def themselves(ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
        return ids

    @sales.computes
    async def sales_of(ids: Sequence[UUID], tx: Tx) -> list[dict[str, Any]]:
        sums = select(Item.shop_id, func.count(), func.sum(Item.price)).where(Item.shop_id.in_(ids))
        names = dict((await tx.execute(select(Shop.shop_id, Shop.name).where(Shop.shop_id.in_(ids)))).all())
        return [
            {"shop_id": id, "name": names.get(id), "count": count, "total": total}
            for id, count, total in await tx.execute(sums.group_by(Item.shop_id))
        ]

    return Views(service, items, shops, sales)


@dataclass
class Owner:
    """Those who own items and shops."""

    items: dict[UUID, ItemRow] = field(default_factory=dict)
    shops: dict[UUID, ShopRow] = field(default_factory=dict)
    closed: dict[UUID, ShopRow] = field(default_factory=dict)
    meanwhile: Callable[[], Awaitable[None]] | None = None
    is_down: bool = False

    def sell(self, n: int, shop_id: UUID, price: str, version: int = 1) -> Sold:
        row = ItemRow(item_id=UUID(int=n), shop_id=shop_id, price=Decimal(price), version=version)
        self.items[row.item_id] = row
        return Sold(**row.model_dump())

    def name(self, shop_id: UUID, title: str, version: int = 1, *, closed: bool = False) -> Renamed:
        (self.closed if closed else self.shops)[shop_id] = ShopRow(id=shop_id, title=title, version=version)
        return Renamed(shop_id=shop_id, name=title, version=version)

    async def ask(self, query: Any, context: Any) -> Any:
        if self.is_down:
            raise Problem(503, "SERVICE_UNAVAILABLE", "not now")
        if self.meanwhile is not None:
            await self.meanwhile()
        if isinstance(query, ListItems):
            return self._page(Page[ItemRow], self.items, query, "item_id")
        return self._page(Page[ShopRow], self.shops if isinstance(query, ListShops) else self.closed, query, "id")

    @staticmethod
    def _page(kind: Any, rows: dict[UUID, Any], query: Any, key: str) -> Any:
        ids = sorted(id for id in rows if query.cursor is None or str(id) > query.cursor)[: query.limit]
        return kind.of([rows[id] for id in ids], query, key)

    def truth(self) -> dict[UUID, tuple[str | None, int, Decimal]]:
        names = {**self.shops, **self.closed}
        found: dict[UUID, tuple[str | None, int, Decimal]] = {}
        for item in self.items.values():
            _, count, total = found.get(item.shop_id, (None, 0, Decimal(0)))
            name = names[item.shop_id].title if item.shop_id in names else None
            found[item.shop_id] = (name, count + 1, total + item.price)
        return found


@dataclass
class Keeper:
    host: Host
    views: Views

    async def tell(self, *events: Event) -> None:
        """As the consumer groups do, a transaction for each view."""
        for handler in self.host.views.handlers():
            mine = [event for event in events if type(event) in handler.messages]
            if mine:
                await self.host.work().run(lambda tx, f=handler.function, mine=mine: f(mine, tx))  # type: ignore[misc]

    async def sales(self) -> dict[UUID, tuple[str | None, int, Decimal]]:
        table: Any = Sales.__table__
        async with self.host.engine.read() as connection:
            rows = await connection.execute(select(table.c.shop_id, table.c.name, table.c.count, table.c.total))
            return {shop_id: (name, count, total) for shop_id, name, count, total in rows}

    async def spoil(self, *statements: Any) -> None:
        async with self.host.engine.write() as connection:
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def keeper(databases: Databases, clock: ManualClock, owner: Owner) -> Keeper:
    views = declared()
    host = Host(
        System("town", [views.service]), views.service, await databases.open("books"), clock=clock, caller=owner
    )
    await host.create_tables()
    return Keeper(host, views)


def filled(owner: Owner, count: int = 12) -> list[Event]:
    events: list[Event] = [owner.sell(n, SHOPS[n % 3], f"{n}.50") for n in range(1, count + 1)]
    return [*events, owner.name(SHOPS[0], "one"), owner.name(SHOPS[1], "two", closed=True)]


async def test_a_history_shuffled_and_repeated_gives_what_a_fresh_computation_gives(
    keeper: Keeper, owner: Owner, engine_kind: str
) -> None:
    rng = random.Random(3)
    for _ in range(20 if engine_kind == "sqlite" else 4):
        owner.items.clear()
        await keeper.spoil(*(delete(table) for table in (Item.__table__, Sales.__table__, Shop.__table__)))
        history = filled(owner)
        history += [owner.sell(n, rng.choice(SHOPS), f"{n}.25", version=2) for n in range(1, 13, 2)]
        history += [owner.name(SHOPS[0], "one again", 2)]
        told = history + rng.sample(history, 8)
        rng.shuffle(told)
        while told:
            some = rng.randint(1, len(told))
            await keeper.tell(*told[:some])
            del told[:some]
        assert await keeper.sales() == owner.truth()


async def test_one_event_may_change_several_rows(keeper: Keeper, owner: Owner) -> None:
    items = [owner.sell(n, SHOPS[0], "1.00") for n in (1, 2, 3)]
    await keeper.tell(Basket(basket_id=UUID(int=9), items=items))
    assert await keeper.sales() == {SHOPS[0]: (None, 3, Decimal("3.00"))}


async def test_what_moves_leaves_where_it_was(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(owner.sell(1, SHOPS[0], "1.00"))
    await keeper.tell(owner.sell(1, SHOPS[1], "1.00", version=2))
    assert await keeper.sales() == {SHOPS[1]: (None, 1, Decimal("1.00"))}


async def test_transactions_side_by_side_lose_nothing(keeper: Keeper, owner: Owner) -> None:
    """Two views that one follows are changed at the same time: whoever comes second sees the first."""
    events = filled(owner, 30)
    async with asyncio.timeout(60):
        await asyncio.gather(*(keeper.tell(event) for event in events))
    assert await keeper.sales() == owner.truth()


async def test_a_row_is_written_when_it_differs_only(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    event = owner.sell(1, SHOPS[0], "1.00")
    await keeper.tell(event)
    first = clock.now()
    clock.advance(seconds=5)
    await keeper.tell(event, owner.sell(2, SHOPS[1], "1.00"))
    table: Any = Sales.__table__
    async with keeper.host.engine.read() as connection:
        changed = dict((await connection.execute(select(table.c.shop_id, table.c.updated_at))).all())
    assert changed == {SHOPS[0]: first, SHOPS[1]: clock.now()}


@pytest.mark.parametrize("page", [1, 5, 100])
async def test_a_rebuild_reads_all_sources_and_serves_the_old_rows_until_the_end(
    keeper: Keeper, owner: Owner, page: int
) -> None:
    await keeper.tell(*filled(owner))
    items, sales, shops = (kind.__table__ for kind in (Item, Sales, Shop))
    bogus = {"shop_id": UUID(int=99), "count": 1, "total": 1, "updated_at": keeper.host.clock.now()}
    await keeper.spoil(
        delete(items).where(items.c.item_id == UUID(int=1)),
        update(items).where(items.c.item_id == UUID(int=2)).values(price=100, version=7),
        update(shops).values(name="wrong"),
        delete(sales).where(sales.c.shop_id == SHOPS[0]),
        insert(sales).values(bogus),
    )
    damaged, seen = await keeper.sales(), 0

    async def look() -> None:
        nonlocal seen
        seen += 1
        assert await keeper.sales() == damaged

    owner.meanwhile = look
    assert await keeper.host.views.rebuild("sales", page=page) == 14
    assert seen >= 3
    assert await keeper.sales() == owner.truth()
    state = await keeper.host.views.state("sales")
    assert (state.state, state.generation, state.rows_read) == ("idle", 1, 4)


async def test_events_during_a_rebuild_are_in_it(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(*filled(owner))

    async def life() -> None:
        owner.meanwhile = None
        await keeper.tell(owner.sell(50, SHOPS[2], "9.00"), owner.name(SHOPS[2], "three"))
        owner.meanwhile = later

    async def later() -> None:
        owner.meanwhile = None
        await keeper.tell(owner.sell(1, SHOPS[2], "0.75", version=2))

    owner.meanwhile = life
    await keeper.host.views.rebuild("sales", page=4)
    assert await keeper.sales() == owner.truth()


async def test_rebuilding_a_source_computes_what_follows(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(*filled(owner))
    await keeper.spoil(update(Shop.__table__).values(name="wrong"), update(Sales.__table__).values(name="wrong"))
    await keeper.host.views.rebuild("shops")
    assert await keeper.sales() == owner.truth()


@pytest.mark.parametrize("nth", range(1, 9))
async def test_a_crash_leaves_the_old_rows_and_another_run_finishes(keeper: Keeper, owner: Owner, nth: int) -> None:
    """Commits: the begin, then begin, pages and switch of items and of shops, then all rows at once."""
    await keeper.tell(*filled(owner))
    sales: Any = Sales.__table__
    await keeper.spoil(update(sales).values(count=0))
    damaged = await keeper.sales()
    with crash_at("commit.before", nth=nth), pytest.raises(Crash):
        await keeper.host.views.rebuild("sales")
    assert await keeper.sales() == damaged
    await keeper.host.views.resume()
    if nth == 1:  # nothing had begun
        await keeper.host.views.rebuild("sales")
    assert await keeper.sales() == owner.truth()
    assert (await keeper.host.views.state("sales")).state == "idle"


@pytest.mark.parametrize("nth", range(1, 7))
async def test_a_crash_while_a_source_is_rebuilt_leaves_nothing_behind_for_good(
    keeper: Keeper, owner: Owner, nth: int
) -> None:
    """Commits: begin, a page of each snapshot, the switch, then all rows that follow."""
    await keeper.tell(*filled(owner))
    await keeper.spoil(update(Shop.__table__).values(name="wrong"), update(Sales.__table__).values(name="wrong"))
    with crash_at("commit.before", nth=nth), suppress(Crash):
        await keeper.host.views.rebuild("shops")
    await keeper.host.views.resume()
    if nth == 1:  # nothing had begun
        await keeper.host.views.rebuild("shops")
    assert await keeper.sales() == owner.truth()


async def test_an_owner_that_is_down_leaves_the_old_rows(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(*filled(owner))
    before = await keeper.sales()
    owner.is_down = True
    with pytest.raises(Problem, match="SERVICE_UNAVAILABLE"):
        await keeper.host.views.rebuild("sales")
    assert await keeper.sales() == before
    owner.is_down = False
    assert await keeper.host.views.resume() == ["sales"]


async def test_reconciliation_of_a_source_reaches_what_follows(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(*filled(owner))
    items: Any = Item.__table__
    await keeper.spoil(
        delete(items).where(items.c.item_id == UUID(int=1)),
        update(items).where(items.c.item_id == UUID(int=2)).values(price=100),
    )
    del owner.items[UUID(int=3)]
    del owner.shops[SHOPS[0]]
    work = keeper.host.work()
    assert (await work.reconcile(keeper.views.items)).repaired == {"missing": 1, "different": 1, "surplus": 1}
    shops = await work.reconcile(keeper.views.shops, page=1)
    assert (shops.checked, shops.repaired) == (1, {"surplus": 1})
    assert await keeper.sales() == owner.truth()


async def test_reconciliation_of_a_derived_view_computes_it_anew(keeper: Keeper, owner: Owner) -> None:
    await keeper.tell(*filled(owner))
    sales: Any = Sales.__table__
    bogus = {"shop_id": UUID(int=99), "count": 1, "total": 1, "updated_at": keeper.host.clock.now()}
    await keeper.spoil(
        update(sales).where(sales.c.shop_id == SHOPS[0]).values(total=0),
        delete(sales).where(sales.c.shop_id == SHOPS[1]),
        insert(sales).values(bogus),
    )
    drift = await keeper.host.work().reconcile(keeper.views.sales, page=2)
    assert drift.repaired == {"different": 1, "missing": 1, "surplus": 1}
    assert await keeper.sales() == owner.truth()


async def test_its_lag_is_the_worst_of_its_sources(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    await keeper.tell(owner.sell(1, SHOPS[0], "1.00"))
    clock.advance(seconds=7)
    await keeper.tell(owner.name(SHOPS[0], "one"))
    report = await keeper.host.views.report("sales")
    assert (report.rows, report.newest, report.behind_seconds) == (1, clock.now(), 0.0)


def test_it_is_described_by_what_it_follows() -> None:
    views = declared()
    described = describe(System("town", [views.service]))["views"]
    (sales,) = [view for view in described if view["name"] == "sales"]
    assert sales["sources"] == ["item.sold", "basket.sold", "shop.renamed"]
    assert sales["follows"] == ["items", "shops"]


def test_what_cannot_be_meant_is_refused_at_once() -> None:
    views = declared()
    with pytest.raises(DeclarationError, match="its key is name"):
        Derived("sales", table=Sales, key="name")
    with pytest.raises(DeclarationError, match="'never' is no column"):
        Derived("sales", table=Sales, key="shop_id", updated="never")
    with pytest.raises(DeclarationError, match="follows items twice"):
        views.sales.follows(views.items)(lambda ids, tx: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(DeclarationError, match="computed by two"):
        views.sales.computes(lambda ids, tx: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(DeclarationError, match="reads ListShops twice"):
        views.shops.snapshot(ListShops)(lambda row: None)


async def test_a_snapshot_row_names_its_key(keeper: Keeper, owner: Owner) -> None:
    owner.name(SHOPS[0], "one")
    keeper.views.shops.snapshots[ListShops] = lambda row: Change({"name": row.title}, 1, where={"shop_id": row.id})
    with pytest.raises(ConfigurationError, match="view shops, ListShops: has a where"):
        await keeper.host.views.rebuild("shops")
