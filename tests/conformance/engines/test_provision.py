"""Accounts on a PostgreSQL server, and addresses that open nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from freehold.engines import open_engine
from freehold.engines.provision import (
    Account,
    drop_database,
    drop_role,
    provision_databases,
    provision_schemas,
)
from freehold.model.errors import ConfigurationError

pytestmark = [
    pytest.mark.guarantee("G6"),
    pytest.mark.cell(engine="postgres-databases"),
    pytest.mark.only("they are about accounts on a PostgreSQL server"),
]

ODD = Account(role='o"dd role', password="p@ss/w:rd'\"%", namespace='o"dd; --', connections=3)
SHARED = f"provisioned_{os.getpid()}"


async def where_tables_go(url: str) -> str:
    engine = open_engine(url)
    async with engine.write() as connection:
        await connection.execute(text("CREATE TABLE IF NOT EXISTS mine (id int)"))
        found = await connection.scalar(text("SELECT current_database() || '.' || current_schema()"))
    await engine.close()
    return str(found)


async def test_provisioning_may_be_repeated_in_either_layout(postgres_url: str) -> None:
    try:
        for _ in range(2):
            schemas = await provision_schemas(postgres_url, SHARED, [ODD])
            databases = await provision_databases(postgres_url, [ODD])
        assert await where_tables_go(schemas[ODD.role]) == f"{SHARED}.{ODD.namespace}"
        assert await where_tables_go(databases[ODD.role]) == f"{ODD.namespace}.public"
    finally:
        await drop_database(postgres_url, ODD.namespace)
        await drop_database(postgres_url, SHARED)
        await drop_role(postgres_url, ODD.role)


async def test_a_service_may_not_provision(postgres_url: str) -> None:
    account = Account(role=f"{SHARED}_a", password="secret", namespace=f"{SHARED}_a")
    try:
        url = (await provision_databases(postgres_url, [account]))[account.role]
        with pytest.raises(ConfigurationError, match="may not set up services") as caught:
            await provision_databases(url, [Account(role="b", password="hidden", namespace="b")])
        assert "hidden" not in str(caught.value)
    finally:
        await drop_database(postgres_url, account.namespace)
        await drop_role(postgres_url, account.role)


async def test_a_refused_administrator_is_told_why_without_the_password() -> None:
    with pytest.raises(ConfigurationError, match="does not let us in") as caught:
        await provision_databases("postgresql://admin:secret@127.0.0.1:1/postgres", [ODD])
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Account(role="a", password="secret", namespace="a"))


@pytest.mark.parametrize(
    ("url", "options", "problem"),
    [
        ("oracle://u:secret@h/x", {}, "oracle:// is unknown. Use sqlite"),
        ("postgresql://u:secret@h:port/x", {}, "cannot be read"),
        ("sqlite://", {}, "needs a file"),
        ("sqlite:///x.db", {"pool_size": 3}, "option pool_size: sqlite:// does not know it. Use readers"),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused(url: str, options: dict[str, int], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        open_engine(url, **options)
    assert "secret" not in str(caught.value)


def test_an_engine_shows_its_address_without_the_password(tmp_path: Path) -> None:
    engine = open_engine("postgresql://u:secret@h/x")
    assert "secret" not in engine.url + repr(engine)
    assert open_engine(f"sqlite:///{tmp_path}/a.db").url == f"sqlite:///{tmp_path}/a.db"
