"""G6: a service's own credentials lead to its own tables only, and where they lead further, the check finds it.

Every breach is made for real, found with both services' names and the table's, and costs nobody a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import inspect, make_url, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Portable, Service, System
from freehold.engines import open_engine, sqlite_dialect
from freehold.inspect import Violation, check_isolation
from freehold.model.errors import ConfigurationError
from freehold.model.ids import uuid7
from freehold.model.ports import Engine
from freehold.runtime.tables import FrameworkTables
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G6")


class Orders(Portable, DeclarativeBase):
    pass


class Order(Orders):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    item: Mapped[str | None]


class Billing(Portable, DeclarativeBase):
    pass


class Invoice(Billing):
    __tablename__ = "invoices"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    amount: Mapped[int]


SYSTEM = System("shop", [Service("orders", tables=Orders), Service("billing", tables=Billing)])
POSTGRES = ("postgres-schemas", "postgres-databases")
SERVERS = (*POSTGRES, "mariadb")


@dataclass
class Site:
    """Both services' databases, with a row in each table of the models."""

    databases: Databases
    urls: dict[str, str]
    engines: dict[str, Engine]

    @property
    def names(self) -> dict[str, str]:
        """What a statement of the administrator's may speak of."""
        orders, billing = (make_url(self.urls[name]) for name in ("orders", "billing"))
        schemas = self.databases.kind == "postgres-schemas"
        inside = billing.username if schemas else "public" if self.databases.kind in POSTGRES else billing.database
        user = f"'{orders.username}'@'%'" if self.databases.kind == "mariadb" else f'"{orders.username}"'
        quote = "`" if self.databases.kind == "mariadb" else '"'
        return {
            "orders": user, "billing": str(billing.username), "space": f"{quote}{inside}{quote}",
            "own": f"{quote}{orders.database}{quote}", "database": f"{quote}{billing.database}{quote}", "role": f"r{billing.username}",
        }  # fmt: skip

    async def as_administrator(self, *statements: str) -> None:
        """Run in billing's database."""
        url = make_url(self.databases.admin_url).set(database=make_url(self.urls["billing"]).database)
        admin = open_engine(url.render_as_string(hide_password=False))
        try:
            async with admin.write() as connection:
                for statement in statements:
                    await connection.execute(text(statement.format(**self.names)))
        finally:
            await admin.close()

    async def check(self) -> list[Violation]:
        return await check_isolation(SYSTEM, self.urls)

    async def rows(self) -> dict[str, int]:
        """How many each table has; by the owners' own eyes."""
        counted = {}
        for name, engine in self.engines.items():
            async with engine.write() as connection:
                for table in await connection.run_sync(lambda each: inspect(each).get_table_names()):
                    counted[f"{name}.{table}"] = await connection.scalar(text(f'SELECT count(*) FROM "{table}"')) or 0
        return counted


@pytest.fixture
async def site(databases: Databases) -> Site:
    urls, engines = {}, {}
    for service in SYSTEM.services:
        engine = engines[service.name] = await databases.open(service.name)
        urls[service.name] = await databases.url(service.name)
        await engine.create(service.metadata)
        await engine.create(FrameworkTables(engine.dialect).metadata)
    async with engines["orders"].write() as connection:
        await connection.execute(Order.__table__.insert(), [{"id": uuid7(), "item": "tea"}])  # type: ignore[attr-defined]
    async with engines["billing"].write() as connection:
        await connection.execute(Invoice.__table__.insert(), [{"id": uuid7(), "amount": 7}])  # type: ignore[attr-defined]
    return Site(databases, urls, engines)


def about(violations: list[Violation], code: str) -> list[str]:
    """What the violations of this rule say that orders can do."""
    return [f"{each.where} {each.message}" for each in violations if each.code == code and "orders" in each.where]


async def test_services_are_kept_apart(site: Site) -> None:
    before = await site.rows()

    assert await site.check() == []

    assert await site.rows() == before
    assert before["billing.invoices"] == 1
    assert "billing.outbox_events" in before


# What is done wrong, the rule that finds it, and what its message says.
TABLE = "table {inside}.invoices"
WRONG = {
    "one table": ("GRANT SELECT ON {space}.invoices TO {orders}", "FH082", "has SELECT on billing's " + TABLE),
    "one column": ("GRANT UPDATE (amount) ON {space}.invoices TO {orders}", "FH082", "has UPDATE on billing's " + TABLE),
    "rows to add": ("GRANT INSERT ON {space}.invoices TO {orders}", "FH082", "has INSERT on billing's " + TABLE),
    "rows to delete": ("GRANT DELETE ON {space}.invoices TO {orders}", "FH082", "has DELETE on billing's " + TABLE),
    "the toolkit's table": (
        "GRANT SELECT, UPDATE ON {space}.outbox_events TO {orders}", "FH082",
        "has SELECT, UPDATE on billing's table {inside}.outbox_events",
    ),
}  # fmt: skip
WRONG_ON_POSTGRES = {
    "all may read": ("GRANT SELECT ON {space}.invoices TO PUBLIC", "FH082", "has SELECT on billing's " + TABLE),
    "truncate": ("GRANT TRUNCATE ON {space}.invoices TO {orders}", "FH082", "has TRUNCATE on billing's " + TABLE),
    "membership": ('GRANT "{billing}" TO {orders}', "FH084", "has MEMBERSHIP by billing's account {billing}"),
    "read through membership": ('GRANT "{billing}" TO {orders}', "FH082", "SELECT"),
    "drop through membership": ('GRANT "{billing}" TO {orders}', "FH082", "DROP"),
    "reads all data": ("GRANT pg_read_all_data TO {orders}", "FH082", "has SELECT on billing's " + TABLE),
    "superuser": ("ALTER ROLE {orders} SUPERUSER", "FH084", "has SUPERUSER by the account"),
    "superuser's tables": ("ALTER ROLE {orders} SUPERUSER", "FH082", "ALTER"),
    "makes databases": ("ALTER ROLE {orders} CREATEDB CREATEROLE", "FH084", "has CREATEDB, CREATEROLE by the account"),
    "makes tables": ("GRANT CREATE, USAGE ON SCHEMA {space} TO {orders}", "FH083", "has CREATE, USAGE on billing's {inside}"),
    "looks around": ("GRANT USAGE ON SCHEMA {space} TO {orders}", "FH083", "has USAGE on billing's {inside}"),
    "owns the table": ("ALTER TABLE {space}.invoices OWNER TO {orders}", "FH082", "ALTER"),
}  # fmt: skip
WRONG_ON_MARIADB = {
    "global": ("GRANT SELECT ON *.* TO {orders}", "FH084", "has SELECT by the account"),
    "global reaches": ("GRANT SELECT ON *.* TO {orders}", "FH082", "has SELECT on billing's " + TABLE),
    "whole database": ("GRANT ALL ON {space}.* TO {orders}", "FH082", "ALTER, CREATE on billing's " + TABLE),
    "drop": ("GRANT DROP ON {space}.* TO {orders}", "FH083", "DROP on billing's {inside}"),
    "drop one": ("GRANT DROP ON {space}.invoices TO {orders}", "FH082", "DROP on billing's " + TABLE),
    "pattern": ("GRANT DELETE ON `t%`.* TO {orders}", "FH082", "has DELETE on billing's " + TABLE),
    "events": ("GRANT EVENT ON {space}.* TO {orders}", "FH083", "EVENT on billing's {inside}"),
}  # fmt: skip
AS_IT_WAS = {
    "mariadb": ("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {orders}", "GRANT ALL ON {own}.* TO {orders}"),
    "postgres": (
        "ALTER ROLE {orders} NOSUPERUSER NOCREATEDB NOCREATEROLE",
        'REVOKE pg_read_all_data, "{billing}" FROM {orders}',
        'ALTER TABLE {space}.invoices OWNER TO "{billing}"',
        "REVOKE ALL ON ALL TABLES IN SCHEMA {space} FROM PUBLIC, {orders}",
        "REVOKE ALL ON SCHEMA {space} FROM {orders}",
    ),
}


@on_engines(*SERVERS, why="a file has no accounts")
async def test_what_a_grant_opens_is_found_and_nothing_is_lost(site: Site) -> None:
    kind = site.databases.kind
    before = await site.rows()
    inside = site.names["space"].strip('"`')
    for name, (statement, code, said) in (
        WRONG | (WRONG_ON_POSTGRES if kind in POSTGRES else WRONG_ON_MARIADB)
    ).items():
        if kind == "postgres-databases":
            await site.as_administrator("GRANT CONNECT ON DATABASE {database} TO {orders}")
        if kind in POSTGRES and "SCHEMA" not in statement:
            await site.as_administrator("GRANT USAGE ON SCHEMA {space} TO {orders}")
        await site.as_administrator(statement)

        found = await site.check()

        shown = "\n".join([name, *map(str, found)])
        assert any(said.format(inside=inside, **site.names) in each for each in about(found, code)), shown
        assert {(each.where, each.severity) for each in found} == {("service orders", "error")}, shown
        if kind == "postgres-databases":
            assert "gets into billing's database" in about(found, "FH081")[0]
            await site.as_administrator("REVOKE CONNECT ON DATABASE {database} FROM {orders}")
        await site.as_administrator(*AS_IT_WAS[kind.partition("-")[0]])
        assert await site.rows() == before, name
    assert await site.check() == []


@on_engines("postgres-schemas", why="it is about what is PostgreSQL's own")
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("GRANT CREATE, USAGE ON SCHEMA public TO {orders}", "has CREATE on public, which services share"),
        ("GRANT CREATE ON DATABASE {database} TO {orders}", "has CREATE on freehold_test"),
    ],
)
async def test_rooms_that_all_share_are_closed(site: Site, statement: str, said: str) -> None:
    try:
        await site.as_administrator(statement)
        assert said in about(await site.check(), "FH083")[0]
    finally:
        await site.as_administrator(
            "REVOKE ALL ON DATABASE {database} FROM {orders}", "GRANT CONNECT ON DATABASE {database} TO {orders}"
        )


@on_engines("mariadb", why="it is about what is MariaDB's own")
async def test_rights_by_a_role_of_mariadb_are_found(site: Site) -> None:
    before = await site.rows()
    await site.as_administrator(
        "CREATE ROLE {role}", "GRANT SELECT ON {space}.invoices TO {role}", "GRANT {role} TO {orders}"
    )
    try:
        assert (
            f"has SELECT on billing's table {site.names['billing']}.invoices" in about(await site.check(), "FH082")[0]
        )
    finally:
        await site.as_administrator("DROP ROLE {role}")
    assert await site.rows() == before


@on_engines("mariadb", why="it is about what is MariaDB's own")
async def test_an_account_without_a_password_is_found(site: Site) -> None:
    await site.as_administrator("ALTER USER {orders} IDENTIFIED BY ''")
    site.urls["orders"] = make_url(site.urls["orders"]).set(password="").render_as_string(hide_password=False)

    assert "has LOGIN WITHOUT PASSWORD by the account" in about(await site.check(), "FH084")[0]


@on_engines(*SERVERS, why="a file has no accounts")
async def test_two_services_with_one_account_are_found(site: Site) -> None:
    site.urls["orders"] = site.urls["billing"]
    with pytest.raises(ConfigurationError, match=r"services.orders.database: has no table orders"):
        await site.check()
    await site.engines["billing"].create(Orders.metadata)

    found = await site.check()

    assert {each.code for each in found} >= {"FH080", "FH084"}
    assert "where billing has" in about(found, "FH080")[0]
    assert "invoices" in about(found, "FH080")[0]
    assert "SAME ACCOUNT" in about(found, "FH084")[0]


@on_engines("sqlite", why="it is about what is SQLite's own")
async def test_two_services_with_one_file_are_found(site: Site, tmp_path: Path) -> None:
    await site.engines["billing"].create(Orders.metadata)
    (tmp_path / "alias.db").symlink_to(str(make_url(site.urls["billing"]).database))
    site.urls["orders"] = f"sqlite:///{tmp_path}/alias.db"

    found = await site.check()

    assert {each.code for each in found} == {"FH080"}
    assert "where billing has" in about(found, "FH080")[0]
    assert "invoices" in about(found, "FH080")[0]


@on_engines("sqlite", why="it is about what is SQLite's own")
async def test_a_file_that_can_be_attached_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await site.rows()
    refuse = sqlite_dialect.InlineConnection.setlimit
    monkeypatch.setattr(
        sqlite_dialect.InlineConnection, "setlimit", lambda self, limit, value: refuse(self, limit, 2), raising=False
    )

    assert "gets into billing's database" in about(await site.check(), "FH081")[0]
    assert await site.rows() == before


@on_engines(*SERVERS, why="a file has no accounts")
async def test_a_service_on_a_file_beside_one_on_a_server_is_apart(site: Site, tmp_path: Path) -> None:
    site.urls["orders"] = f"sqlite:///{tmp_path}/orders.db"
    own = open_engine(site.urls["orders"])
    await own.create(Orders.metadata)
    await own.close()

    assert await site.check() == []


async def test_a_service_without_tables_proves_nothing(databases: Databases) -> None:
    urls = {name: await databases.url(name) for name in ("orders", "billing")}

    with pytest.raises(ConfigurationError, match="freehold migrate"):
        await check_isolation(SYSTEM, urls)


@on_engines(*SERVERS, why="a file has no accounts")
async def test_a_server_that_is_away_is_named_without_the_password(site: Site) -> None:
    site.urls["orders"] = make_url(site.urls["orders"]).set(port=1).render_as_string(hide_password=False)

    with pytest.raises(ConfigurationError, match=r"services.orders.database: cannot be used") as caught:
        await site.check()
    assert str(make_url(site.urls["orders"]).password) not in str(caught.value)
