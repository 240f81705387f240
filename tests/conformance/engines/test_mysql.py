"""What is MySQL's and MariaDB's own: sessions, plans, accounts on a server."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Table, bindparam, insert, make_url, text, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.deploy.config import Deployment
from freehold.deploy.databases import open_databases
from freehold.engines import open_engine
from freehold.engines.mysql_prepared import MysqlPrepared
from freehold.engines.provision import Account
from freehold.engines.provision_mysql import drop_database, drop_user, provision_databases
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Engine
from freehold.model.service import Service
from freehold.model.system import System
from freehold.runtime.tables import FrameworkTables
from tests.conformance.engines.tables import Base, Counter
from tests.databases import Databases

pytestmark = [
    pytest.mark.guarantee("G9"),
    pytest.mark.parametrize("engine_kind", ["mariadb"], indirect=True),
    pytest.mark.only("they are about what is MariaDB's own"),
]
ODD = Account(role="o`dd 'role", password="p@ss/w:rd'\"%s", namespace="o`dd; -- %_\\", connections=3)
counters: Table = Base.metadata.tables["counters"]


@pytest.fixture
async def accounts(databases: Databases) -> AsyncIterator[list[Account]]:
    """Put accounts in: they are dropped at the end."""
    made: list[Account] = []
    yield made
    for account in made:
        await drop_user(databases.admin_url, account.role)
        await drop_database(databases.admin_url, account.namespace)


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_session_says_what_the_server_would_else_decide(databases: Databases, mariadb_url: str) -> None:
    admin = open_engine(mariadb_url)
    names = ("tx_isolation", "time_zone", "autocommit", "collation_connection", "innodb_lock_wait_timeout", "sql_notes")
    async with admin.read() as connection:
        said = (await connection.execute(text(f"SELECT {', '.join('@@' + name for name in names)}"))).one()
        mode = await connection.scalar(text("SELECT @@sql_mode"))
    await admin.close()
    assert tuple(said) == ("READ-COMMITTED", "+00:00", 0, "utf8mb4_nopad_bin", 10, 0)
    assert {"STRICT_ALL_TABLES", "SIMULTANEOUS_ASSIGNMENT", "ONLY_FULL_GROUP_BY"} <= set(mode.split(","))


async def test_what_the_server_warns_of_is_not_logged_with_its_values(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with engine.write() as connection:
        await connection.execute(insert(Counter).values(name="a", value=1))
        await connection.execute(text("SELECT CAST('planted-secret' AS SIGNED)"))
        await connection.execute(text("INSERT IGNORE INTO counters (name, value, version) VALUES ('a', 1, 1)"))
    with pytest.raises(DBAPIError):
        async with engine.write() as connection:
            await connection.execute(text("INSERT INTO counters (name, value) VALUES ('b', 'planted-secret')"))
    assert "planted-secret" not in caplog.text


async def test_only_the_servers_own_words_are_kept_of_its_errors(engine: Engine) -> None:
    said = {
        "INSERT INTO counters (name, value, version) VALUES ('a', 'planted', 1)": "Incorrect integer value for column",
        "SELECT 'planted' FROM FROM": "You have an error in your SQL syntax",
        "SELECT nothing FROM counters": "Unknown column 'nothing'",
        "SELECT * FROM nowhere": "nowhere' doesn't exist",
        "INSERT INTO counters (name, value, version) VALUES ('planted planted planted', 1, 1)": "Data too long for column",
    }
    for statement, words in said.items():
        with pytest.raises(DBAPIError) as caught:
            async with engine.write() as connection:
                await connection.execute(text(statement))
        assert words in str(caught.value.orig)
        assert "planted" not in str(caught.value.orig)


# --- plans ------------------------------------------------------------------------------------------------------------


async def plan(connection: AsyncConnection, statement: str, values: tuple[object, ...] = ()) -> list[dict[str, str]]:
    rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
    return [dict(row) for row in rows.mappings()]


async def test_the_relays_statements_read_no_more_than_they_take(databases: Databases) -> None:
    engine, tables = await databases.open("orders"), FrameworkTables("mysql")
    await engine.create(tables.metadata)
    outbox = tables.outbox
    async with engine.write() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO outbox_events (event_id, aggregate_type, aggregate_id, event_type, version, topic, "
            "partition_key, payload, headers, created_at, published_at) "
            "SELECT LPAD(seq, 32, '0'), 'a', 'a', 'a.b', 1, 't', 'k', '{}', '{}', NOW(6), IF(MOD(seq, 100), NOW(6), NULL) "
            "FROM seq_1_to_20000"
        )
    async with engine.write() as connection:
        await connection.exec_driver_sql("ANALYZE TABLE outbox_events")
    async with engine.read() as connection:
        pending = "SELECT seq FROM outbox_events WHERE published_at IS NULL AND dead_at IS NULL AND seq > 5 ORDER BY seq LIMIT 50"
        (claim,) = await plan(connection, pending)
        (old,) = await plan(connection, "SELECT seq FROM outbox_events WHERE published_at < '2020-01-01' LIMIT 1000")
    assert (claim["key"], old["key"]) == ("ix_outbox_events_pending",) * 2
    assert "filesort" not in claim["Extra"]
    assert int(claim["rows"]) <= 400
    marking = engine.prepare(
        update(outbox).where(engine.among(outbox.c.event_id, "ids")).values(published_at=bindparam("now"))
    )
    assert isinstance(marking, MysqlPrepared)
    async with engine.write() as connection:
        sql = marking._of(connection)._sql
        (mark,) = await plan(connection, sql, (None, ("0" * 31 + "1", "0" * 31 + "2")))
        (page,) = await plan(
            connection, str(_page(outbox).compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        )
    assert (mark["type"], mark["key"], int(mark["rows"])) == ("range", "event_id", 2)
    assert (page["type"], page["key"]) == ("range", "ix_outbox_events_pending")


def _page(outbox: Table) -> object:
    """The next page in the order of two columns."""
    after = tuple_(outbox.c.published_at, outbox.c.dead_at) > tuple_(text("'2100-01-01'"), text("'2100-01-01'"))
    return outbox.select().with_only_columns(outbox.c.seq).where(after).limit(10)


# --- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G6")
async def test_provisioning_may_be_repeated_and_takes_any_name(databases: Databases, accounts: list[Account]) -> None:
    accounts.append(ODD)
    for _ in range(2):
        urls = await provision_databases(databases.admin_url, [ODD])
    engine = open_engine(urls[ODD.role])
    await engine.create(Base.metadata)
    async with engine.read() as connection:
        assert await connection.scalar(text("SELECT DATABASE()")) == ODD.namespace
        assert (await connection.scalar(text("SELECT CURRENT_USER()"))).startswith("o`dd 'role")
    await engine.close()
    assert "p@ss" not in repr(ODD)


@pytest.mark.guarantee("G6")
async def test_a_name_with_an_underscore_opens_no_similar_database(
    databases: Databases, accounts: list[Account]
) -> None:
    prefix = f"p{os.getpid()}"
    accounts += [Account(role=f"{prefix}{n}", password="secret", namespace=f"{prefix}{n}") for n in ("a_b", "axb")]
    urls = await provision_databases(databases.admin_url, accounts)
    intruder = open_engine(urls[f"{prefix}a_b"].rpartition("/")[0] + f"/{prefix}axb")
    with pytest.raises(DBAPIError, match="denied"):
        await intruder.ping()
    await intruder.close()


async def test_a_password_is_not_in_the_servers_log(databases: Databases, accounts: list[Account]) -> None:
    accounts.append(Account(role=f"l{os.getpid()}", password="planted-secret", namespace=f"l{os.getpid()}"))
    admin = open_engine(databases.admin_url)
    async with admin.write() as connection:
        await connection.exec_driver_sql("SET GLOBAL log_output = 'TABLE'")
        await connection.exec_driver_sql("SET GLOBAL general_log = 1")
    try:
        urls = await provision_databases(databases.admin_url, accounts)
        service = open_engine(*urls.values())
        await service.ping()
        await service.close()
        async with admin.read() as connection:
            logged = list(await connection.scalars(text("SELECT CAST(argument AS CHAR) FROM mysql.general_log")))
    finally:
        async with admin.write() as connection:
            await connection.exec_driver_sql("SET GLOBAL general_log = 0")
            await connection.exec_driver_sql("TRUNCATE mysql.general_log")
        await admin.close()
    assert any("CREATE USER" in argument for argument in logged)
    assert not any("planted-secret" in argument for argument in logged)


async def test_more_connections_than_an_account_may_have_are_unavailable(
    databases: Databases, accounts: list[Account]
) -> None:
    accounts.append(Account(role=f"c{os.getpid()}", password="x", namespace=f"c{os.getpid()}", connections=1))
    (url,) = (await provision_databases(databases.admin_url, accounts)).values()
    first, second = open_engine(url), open_engine(url)
    async with first.write():
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await second.ping()
        assert second.is_unavailable(caught.value)
    await first.close()
    await second.close()


@pytest.mark.guarantee("G6")
async def test_a_service_may_not_provision(databases: Databases) -> None:
    url = await databases.url("orders")
    with pytest.raises(ConfigurationError, match="may not set up services") as caught:
        await provision_databases(url, [Account(role="b", password="hidden", namespace="b")])
    assert "hidden" not in str(caught.value)


@pytest.mark.guarantee("G6")
@pytest.mark.parametrize("name", ["", "x" * 33])
async def test_a_user_that_cannot_be_is_refused(databases: Databases, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be one"):
        await provision_databases(databases.admin_url, [Account(role=name, password="x", namespace="x")])


@pytest.mark.guarantee("G6")
async def test_a_refused_administrator_is_told_why_without_the_password(databases: Databases) -> None:
    wrong = (
        databases.admin_url.rpartition(":")[0].rpartition(":")[0]
        + ":planted-secret@"
        + databases.admin_url.rpartition("@")[2]
    )
    for url in ("mysql://admin:planted-secret@127.0.0.1:1/mysql", wrong):
        with pytest.raises(ConfigurationError, match="does not let us in") as caught:
            await provision_databases(url, [ODD])
        assert "planted-secret" not in str(caught.value)


# --- deployments ------------------------------------------------------------------------------------------------------


async def test_a_deployment_makes_its_databases_on_the_server(
    databases: Databases, accounts: list[Account], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_DATABASE_SERVER", databases.admin_url)
    system = System(f"lib{os.getpid()}", services=[Service("books"), Service("loans")])
    urls = await open_databases(system, Deployment(layout="databases", data=tmp_path))
    accounts += [Account(make_url(url).username or "", "", make_url(url).database or "") for url in urls.values()]
    assert [account.role for account in accounts] == [f"{system.name}_books", f"{system.name}_loans"]
    assert await open_databases(system, Deployment(layout="databases", data=tmp_path)) == urls
    for url in urls.values():
        engine = open_engine(url)
        await engine.create(FrameworkTables("mysql").metadata)
        await engine.close()


async def test_schemas_are_not_to_be_had(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_DATABASE_SERVER", databases.admin_url)
    system = System("lib", services=[Service("books")])
    with pytest.raises(ConfigurationError, match="no schemas within a database"):
        await open_databases(system, Deployment(layout="schemas", data=tmp_path))
