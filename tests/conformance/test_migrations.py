"""Tables that change while rows are in them and processes of two versions use them, on every engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold import ConfigurationError, System, uuid7
from freehold.deploy.migrations.history import TOOLKIT, History
from freehold.deploy.migrations.migrate import Migrations
from freehold.model.ports import Engine
from freehold.runtime import faultpoints
from freehold.runtime.host import Host
from systems.booking_rush.system import system as booking_rush
from systems.petpro.system import system as petpro
from tests.conformance.orders_of_versions import declared, write_history
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G9")
OF_EVERY_SYSTEM = pytest.mark.parametrize(
    "service",
    [pytest.param(each, id=f"{of.name}.{each.name}") for of in (booking_rush, petpro) for each in of.services],
)
ALIKE = pytest.mark.only("schemas and databases of PostgreSQL have the same DDL")


class Killed(BaseException):
    """Stands for the end of the process."""


class Version:
    """The service as a process of one version has it: its code, its history, its connections."""

    def __init__(self, version: int, engine: Engine, folder: Path) -> None:
        service, self.order = declared(version)
        self.host = Host(System("shop", services=[service]), service, engine)
        write_history(folder / f"v{version}", until=version)
        own = History("orders", folder / f"v{version}", {})
        toolkit = History(TOOLKIT, folder / "toolkit", {})
        self.migrations = Migrations(service, engine, histories=(toolkit, own))

    async def place(self, **values: Any) -> None:
        async with self.host.work().transaction() as tx:
            tx.add(self.order(id=uuid7(), status="paid", **values))

    async def orders(self) -> list[Any]:
        async with self.host.work().transaction(readonly=True) as tx:
            return list((await tx.execute(select(self.order).order_by(self.order.id))).scalars())


@contextmanager
def killed_at(nth: int) -> Iterator[None]:
    """End the process at the nth step, between what it did and writing down that it did it."""
    left = [nth]

    def count(point: str) -> None:
        left[0] -= point == "migration.step"
        if left[0] == 0:
            raise Killed

    faultpoints.on_reach = count
    try:
        yield
    finally:
        faultpoints.on_reach = None


async def looked(engine: Engine, look: Any) -> Any:
    async with engine.read() as connection:
        return await connection.run_sync(lambda sync: look(inspect(sync)))


async def columns(engine: Engine) -> set[str]:
    return {column["name"] for column in await looked(engine, lambda found: found.get_columns("orders"))}


async def revision(migrations: Migrations) -> str:
    return (await migrations.standing())[1].revision


async def test_a_column_comes_and_another_goes_while_both_versions_work(databases: Databases, tmp_path: Path) -> None:
    old = Version(1, await databases.open("orders"), tmp_path)
    await old.migrations.start(automatic=False)
    assert await revision(old.migrations) == "0001"
    await old.place(total=Decimal("12.50"))
    (first,) = await old.orders()
    async with old.host.engine.write() as connection:
        lines: Table = old.order.metadata.tables["order_lines"]
        await connection.execute(lines.insert().values(id=1, order_id=first.id))

    new = Version(2, await databases.open("orders"), tmp_path)
    with pytest.raises(ConfigurationError, match=r"1 revision behind \(0002_satang\)\. Run `freehold migrate`"):
        await new.migrations.start(automatic=False)
    ran = await new.migrations.migrate(contract=False)
    assert [planned.revision.name for planned in ran] == ["0002_satang"]
    await new.migrations.start(automatic=False)

    await old.place(total=Decimal("20.00"))  # old and new, side by side
    await new.place(total=Decimal("30.00"), satang=3000)
    assert [order.total for order in await old.orders()] == [Decimal("12.50"), Decimal("20.00"), Decimal("30.00")]
    assert [order.satang for order in await new.orders()] == [None, None, 3000]
    async with new.host.work().transaction() as tx:
        for order in (await tx.execute(select(new.order).where(new.order.satang.is_(None)))).scalars():
            order.satang = int(order.total * 100)

    newest = Version(3, await databases.open("orders"), tmp_path)
    await newest.migrations.start(automatic=False)  # the column that it uses no more may stay for a while
    await newest.place(satang=4000)
    await new.place(satang=5000)
    assert await newest.migrations.migrate(contract=False) == []
    assert "total" in await columns(newest.host.engine)
    (contracted,) = await newest.migrations.migrate(contract=True)
    assert contracted.revision.name == "0003_no_total"
    assert [order.satang for order in await newest.orders()] == [1250, 2000, 3000, 4000, 5000]
    assert "total" not in await columns(newest.host.engine)
    assert await newest.migrations.drift() == []
    async with newest.host.engine.read() as connection:
        assert (await connection.execute(select(lines.c.order_id))).scalars().all() == [first.id]


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-databases", "mariadb"], indirect=True)
@ALIKE
async def test_what_was_killed_between_two_steps_goes_on(databases: Databases, tmp_path: Path) -> None:
    """Each step has its effect once, wherever it stopped: a column is there once, and data is changed once."""
    old = Version(1, await databases.open("orders"), tmp_path)
    await old.migrations.start(automatic=False)
    await old.place(total=Decimal("1.00"))
    new = Version(2, await databases.open("orders"), tmp_path)
    goes_on = new.host.engine.dialect == "mysql"  # where DDL commits by itself; elsewhere all is taken back
    for step in range(1, 6):
        with killed_at(step), suppress(Killed):
            await new.migrations.migrate(contract=False)
        assert ("satang" in await columns(new.host.engine)) == goes_on
    await new.migrations.migrate(contract=False)
    assert await revision(new.migrations) == "0002"
    (order,) = await new.orders()
    assert order.note == "x"
    assert await new.migrations.drift() == []


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-databases", "mariadb"], indirect=True)
@ALIKE
async def test_two_that_migrate_at_once_take_turns(databases: Databases, tmp_path: Path) -> None:
    old = Version(1, await databases.open("orders"), tmp_path)
    await old.migrations.start(automatic=False)
    await old.place(total=Decimal("1.00"))
    two = [Version(2, await databases.open("orders"), tmp_path).migrations for _ in range(2)]
    ran = await asyncio.gather(*(each.migrate(contract=False) for each in two))
    assert sorted(len(done) for done in ran) == [0, 1]
    async with old.host.engine.read() as connection:
        assert await connection.scalar(text("SELECT note FROM orders")) == "x"


async def test_two_that_start_on_a_fresh_database_make_it_once(databases: Databases, tmp_path: Path) -> None:
    two = [Version(2, await databases.open("orders"), tmp_path) for _ in range(2)]
    await asyncio.gather(*(each.migrations.start(automatic=False) for each in two))
    assert await revision(two[0].migrations) == "0002"
    assert await two[0].migrations.drift() == []


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-databases", "mariadb"], indirect=True)
@ALIKE
async def test_a_database_that_was_half_made_is_made_to_its_end(databases: Databases, tmp_path: Path) -> None:
    version = Version(1, await databases.open("orders"), tmp_path)
    real, calls = version.host.engine.make, 0

    async def dying(connection: AsyncConnection, metadata: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:  # versions, the toolkit's, versions, the service's
            await connection.run_sync(metadata.sorted_tables[0].create)
            raise Killed
        await real(connection, metadata)

    version.host.engine.make = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await version.migrations.start(automatic=False)
    version.host.engine.make = real  # type: ignore[method-assign]
    await version.migrations.start(automatic=False)
    assert await revision(version.migrations) == "0001"
    assert await version.migrations.drift() == []


async def test_a_database_from_before_its_history_is_taken_up(databases: Databases, tmp_path: Path) -> None:
    """Its tables were made without a version: the history is run from its beginning, each step looking first."""
    old, engine = Version(1, await databases.open("orders"), tmp_path), await databases.open("orders")
    await old.host.create_tables()
    await old.place(total=Decimal("1.00"))
    new = Version(2, engine, tmp_path)
    with pytest.raises(ConfigurationError, match="2 revisions behind"):
        await new.migrations.start(automatic=False)
    await new.migrations.migrate(contract=False)
    assert len(await new.orders()) == 1
    assert await new.migrations.drift() == []


async def test_a_plan_says_what_would_be_done_and_does_nothing(databases: Databases, tmp_path: Path) -> None:
    old = Version(1, await databases.open("orders"), tmp_path)
    await old.migrations.start(automatic=False)
    newest = Version(3, await databases.open("orders"), tmp_path)
    expand, contract = await newest.migrations.plan()
    assert [step.text for step in expand.steps] == [
        "add column orders.satang",
        "add column orders.note",
        "execute UPDATE orders SET note = COALESCE(note, '') || 'x'",
        "create index ix_orders_satang",
        "alter column orders.total: NULL",
    ]
    assert "ALTER TABLE orders ADD COLUMN satang INTEGER;" in expand.steps[0].sql
    assert (expand.contracts, contract.contracts) == (False, True)
    assert [step.breaks for step in contract.steps] == ["a column goes that they use"]
    assert await revision(newest.migrations) == "0001"
    assert "satang" not in await columns(newest.host.engine)


async def test_drift_names_what_differs(databases: Databases, tmp_path: Path) -> None:
    version = Version(2, await databases.open("orders"), tmp_path)
    await version.migrations.start(automatic=False)
    assert await version.migrations.drift() == []
    async with version.host.engine.write() as connection:
        await connection.execute(text("CREATE TABLE stray (id INTEGER NOT NULL PRIMARY KEY)"))
        await connection.execute(text("ALTER TABLE orders ADD COLUMN extra INTEGER"))
        await connection.execute(text("CREATE INDEX ix_lines_order ON order_lines (order_id)"))
        await connection.run_sync(drop_index)
    found = [str(difference) for difference in await version.migrations.drift()]
    assert found == [
        "extra index ix_lines_order: order_lines",
        "extra column: orders.extra",
        "missing index ix_orders_satang: orders",
        "extra table: stray",
    ]


def drop_index(connection: Connection) -> None:
    table = declared(2)[1].__table__
    next(index for index in table.indexes if index.name == "ix_orders_satang").drop(connection)


@OF_EVERY_SYSTEM
async def test_what_is_made_of_the_models_has_no_drift(service: Any, databases: Databases) -> None:
    migrations = Migrations(service, await databases.open(service.name))
    await migrations.start(automatic=False)
    assert await migrations.drift() == []


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-databases", "mariadb"], indirect=True)
@OF_EVERY_SYSTEM
@ALIKE
async def test_from_zero_a_history_gives_what_the_models_give(service: Any, databases: Databases) -> None:
    """Every revision on an empty database, and not one table made by the models."""
    migrations = Migrations(service, await databases.open(service.name))
    await migrations.engine.create(migrations._tables)
    async with migrations.engine.write() as connection:
        versions = migrations._versions
        await connection.execute(versions.insert().values(
            history=service.name, revision="", steps_done=0, changed_at=datetime(2025, 1, 1, tzinfo=UTC)
        ))  # fmt: skip
    ran = await migrations.migrate(contract=True)
    assert [planned.revision.number for planned in ran][:1] == ["0001"]
    assert await migrations.drift() == []


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-databases", "mariadb"], indirect=True)
@ALIKE
async def test_the_toolkits_own_tables_migrate_likewise_under_other_names(databases: Databases, tmp_path: Path) -> None:
    service, _ = declared(1)
    service.table_names = {"leases": "rights"}
    (tmp_path / "toolkit").mkdir()
    (tmp_path / "toolkit" / "0001_why.py").write_text(
        '"""Why."""\n\nimport sqlalchemy as sa\n\n\ndef upgrade(op):\n'
        '    op.add_column("leases", sa.Column("why", sa.Text(), nullable=True))\n'
    )
    engine = await databases.open("orders")
    before = Migrations(service, engine, histories=(History(TOOLKIT, tmp_path / "none", service.table_names),
                                                    History("orders", tmp_path / "none", {})))  # fmt: skip
    await before.start(automatic=False)
    after = Migrations(service, engine, histories=(History(TOOLKIT, tmp_path / "toolkit", service.table_names),
                                                   History("orders", tmp_path / "none", {})))  # fmt: skip
    with pytest.raises(ConfigurationError, match="0001_why"):
        await after.start(automatic=False)
    await after.migrate(contract=False)
    assert [each.revision for each in await after.standing()] == ["0001", ""]
    assert "why" in {c["name"] for c in await looked(engine, lambda found: found.get_columns("rights"))}


async def test_a_database_of_newer_code_is_refused(databases: Databases, tmp_path: Path) -> None:
    newest = Version(3, await databases.open("orders"), tmp_path)
    await newest.migrations.start(automatic=False)
    with pytest.raises(ConfigurationError, match=r"at revision 0003, and the last one here is 0001\. Deploy"):
        await Version(1, await databases.open("orders"), tmp_path).migrations.start(automatic=False)


async def test_alone_on_its_file_a_process_migrates_by_itself(databases: Databases, tmp_path: Path) -> None:
    old = Version(1, await databases.open("orders"), tmp_path)
    await old.migrations.start(automatic=False)
    newest = Version(3, await databases.open("orders"), tmp_path)
    await newest.migrations.start(automatic=True)
    assert await revision(newest.migrations) == "0003"
