"""The detector on every engine: nobody touches another's tables, no request writes two databases (G6)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Portable, Query, Service, System, Tx, Work, public, uuid7
from freehold.deploy.config import Deployment
from freehold.deploy.process import Process
from freehold.http import HttpCaller
from freehold.identity import ServiceTokens
from freehold.observe.metrics import METRICS
from freehold.runtime.context import Asking, Context
from freehold.runtime.sql_detector import SqlDetector, SqlFinding
from freehold.testing import World, watch_sql
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G6")
ORDER = UUID(int=1)


class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID


class Done(BaseModel):
    count: int


class CountUsers(Query[Done], path="/internal/users"): ...


class AddUser(Query[Done], path="/internal/users", method="POST"): ...


class OrderTables(Portable, DeclarativeBase): ...


class Order(OrderTables):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="new")


class UserTables(Portable, DeclarativeBase): ...


class Account(UserTables):
    __tablename__ = "accounts"
    id: Mapped[UUID] = mapped_column(primary_key=True)


orders = Service("orders", tables=OrderTables, publishes=[OrderPlaced], asks=[CountUsers, AddUser])
users = Service("users", tables=UserTables)


@users.answers(CountUsers)
async def count_users(query: CountUsers, tx: Tx) -> Done:
    return Done(count=len((await tx.scalars(select(Account))).all()))


@users.answers(AddUser)
async def add_user(query: AddUser, tx: Tx) -> Done:
    tx.add(Account(id=uuid7()))
    return Done(count=1)


@users.on(OrderPlaced)
async def keep_user(event: OrderPlaced, tx: Tx) -> None:
    tx.add(Account(id=uuid7()))


@orders.on(OrderPlaced)
async def add_later(event: OrderPlaced, tx: Tx) -> None:
    await tx.ask(AddUser())
    tx.add(Order(id=uuid7()))


@orders.post("/peek", access=public)
async def peek(tx: Tx) -> None:
    await tx.execute(text("SELECT id FROM accounts WHERE id = 'secret'"))


@orders.post("/own", access=public)
async def own(tx: Tx) -> None:
    await tx.ask(CountUsers())
    await tx.execute(text("WITH accounts AS (SELECT id FROM orders) SELECT id FROM accounts"))
    tx.add(Order(id=uuid7()))


@orders.post("/ask-only", access=public)
async def ask_only(tx: Tx) -> None:
    await tx.ask(AddUser())
    await tx.scalars(select(Order).with_for_update())


@orders.post("/publish", access=public)
async def publish(tx: Tx) -> None:
    tx.publish(OrderPlaced(order_id=uuid7()))


@orders.post("/add", access=public)
async def add(tx: Tx) -> None:
    await tx.ask(AddUser())
    tx.add(Order(id=uuid7()))


@orders.post("/change", access=public)
async def change(tx: Tx) -> None:
    await tx.ask(AddUser())
    order = await tx.get(Order, ORDER)
    assert order is not None
    order.status += "!"


@orders.post("/text", access=public)
async def change_by_text(work: Work) -> None:
    async with work.transaction() as tx:
        await tx.execute(text("UPDATE orders SET status = 'text'"))
    await work.ask(AddUser())


@orders.coalesced(key=lambda call: call)
async def settle(calls: Sequence[int], tx: Tx) -> Sequence[int]:
    await tx.execute(update(Order).values(status="settled"))
    return calls


@orders.post("/coalesce", access=public)
async def coalesce(work: Work) -> None:
    await work.as_service().ask(AddUser())
    await work.call(settle, 1)


system = System("shop", [orders, users])
BOTH = SqlFinding("orders", "two_databases", "answers a request that writes the databases of orders and users")


@pytest.fixture
async def world(databases: Databases) -> AsyncIterator[World]:
    urls = {service: await databases.url(service) for service in ("orders", "users")}
    async with World(system, databases=urls) as made:
        async with made.work("orders").transaction() as tx:
            tx.add(Order(id=ORDER))
        yield made


def counted(kind: str) -> float:
    labels = {"service": "orders", "kind": kind}
    return METRICS.registry.get_sample_value("freehold_ownership_violations_total", labels) or 0.0


async def post(world: World, path: str) -> None:
    answer = await world.http.post(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text


async def test_sql_that_touches_anothers_table_is_told_once_and_counted_each_time(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = counted("foreign_table")
    with watch_sql(world) as detector, caplog.at_level(logging.ERROR, "freehold.sql"):
        for _ in range(2):
            assert (await world.http.post("/api/v1/peek")).status_code == 500  # the database refuses it
    (found,) = detector.findings
    assert (found.service, found.kind) == ("orders", "foreign_table")
    assert found.message == "touches accounts, a table of users"
    assert "FROM accounts" in found.statement
    assert counted("foreign_table") == before + 2
    assert [record.message for record in caplog.records if record.name == "freehold.sql"] == [f"orders {found.message}"]


@pytest.mark.parametrize("path", ["own", "ask-only", "publish"])
async def test_what_is_allowed_is_not_told(world: World, path: str) -> None:
    with watch_sql(world) as detector:
        await post(world, path)
        await world.settle()  # what follows by events writes both databases, and is no part of the request
    assert detector.findings == []


@pytest.mark.parametrize("path", ["add", "change", "text", "coalesce"])
async def test_a_request_that_writes_two_databases_is_told(world: World, path: str) -> None:
    before = counted("two_databases")
    with watch_sql(world) as detector:
        await post(world, path)
        await post(world, path)
    assert detector.findings == [BOTH]
    assert counted("two_databases") == before + 2


async def test_nothing_is_seen_before_it_begins_and_after_it_has_ended(world: World) -> None:
    with watch_sql(world) as detector:
        pass
    await post(world, "add")
    await world.http.post("/api/v1/peek")
    assert detector.findings == []


async def test_only_the_share_is_looked_at(world: World) -> None:
    for share in (0.5, 0.7):
        detector = SqlDetector(system, share, chance=lambda: 0.6)
        detector.attach([world.process.units["orders"].host])
        await world.http.post("/api/v1/peek")
        detector.detach()
        assert len(detector.findings) == (share > 0.6)


async def test_a_call_over_the_wire_tells_what_it_wrote(world: World) -> None:
    host = world.process.units["orders"].host
    web = httpx.AsyncClient(transport=httpx.ASGITransport(world.process.apps["users"]))
    caller = HttpCaller(system, {"users": "http://users"}, host.provided.use(ServiceTokens), client=web)
    with watch_sql(world) as detector:
        for query, wrote in ((CountUsers(), []), (AddUser(), ["users"])):
            context = detector.begin(Context(request_id="r"), "orders")
            await caller.ask(query, Asking("orders", context))
            assert context.writes is not None
            assert context.writes.services == wrote
        async with host.work(context).transaction() as tx:
            tx.add(Order(id=uuid7()))
        plain = replace(context, writes=None)
        await caller.ask(AddUser(), Asking("orders", plain))
    assert detector.findings == [BOTH]
    await web.aclose()


async def test_a_deployment_says_how_much_is_watched(tmp_path: Path) -> None:
    async with Process(system, Deployment(data=tmp_path / "off")) as process:
        assert {unit.host.detector for unit in process.units.values()} == {None}
    async with Process(system, Deployment(data=tmp_path / "on", sql_detector=1)) as process:
        (detector,) = {unit.host.detector for unit in process.units.values()}
        assert detector is not None
        async with process.units["orders"].host.engine.read() as connection:
            await connection.execute(text("SELECT 1 FROM leases"))
        assert detector.findings == []
