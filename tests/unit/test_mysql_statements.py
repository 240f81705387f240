"""Statements as MySQL and MariaDB get them; no server is needed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import CompileError
from sqlalchemy.schema import CreateTable

from freehold.engines import open_engine
from freehold.engines.mysql_dialect import ServerDialect
from freehold.engines.mysql_rows import InsertOrUpdate
from freehold.model.ports import Engine
from freehold.runtime.tables import FrameworkTables

stock = Table(
    "stock", MetaData(), Column("id", String(10), primary_key=True), Column("low", Integer), Column("high", Integer),
    Column("version", Integer),
)  # fmt: skip


@pytest.fixture
def engine() -> Engine:
    return open_engine("mysql://nobody@127.0.0.1/none")


def dialect(*, mariadb: bool) -> ServerDialect:
    made = ServerDialect()
    made.is_mariadb = mariadb
    return made


def spelled(statement: Any, *, mariadb: bool = False) -> str:
    return " ".join(str(statement.compile(dialect=dialect(mariadb=mariadb))).split())


def upsert(engine: Engine, update: dict[str, Any], where: Any = None) -> Any:
    statement = engine.upsert(
        stock, [{"id": "a", "low": 1, "high": 1, "version": 1}], key=["id"], update=update, where=where
    )
    assert isinstance(statement, InsertOrUpdate)
    return statement._statement.values(statement.rows[0])


def test_what_others_are_computed_from_is_set_last(engine: Engine) -> None:
    new = engine.excluded(stock).c
    newer = new.version > stock.c.version
    text = spelled(upsert(engine, {"version": new.version, "low": stock.c.low + new.low}, newer))
    assert text.index("UPDATE low =") < text.index(", version =")


def test_mysql_is_not_given_what_it_would_compute_otherwise(engine: Engine) -> None:
    new = engine.excluded(stock).c
    crossed = upsert(engine, {"low": stock.c.high + new.low, "high": stock.c.low + new.high})
    swap = update(stock).values(low=stock.c.high, high=stock.c.low)
    for statement in (crossed, swap):
        with pytest.raises(CompileError, match="high is computed from low"):
            spelled(statement)
        assert spelled(statement, mariadb=True)
    assert spelled(update(stock).values(low=stock.c.low + 1, high=stock.c.high + stock.c.version))
    assert spelled(update(stock).ordered_values((stock.c.high, stock.c.low), (stock.c.low, stock.c.low + 1)))


def test_a_session_of_sqlalchemys_own_dialects_meets_the_same_identifiers() -> None:
    """An application keeps the outbox's tables with its own, by whichever dialect it uses."""
    tables = FrameworkTables("mysql")
    for each in (mysql.dialect(), mysql.dialect(is_mariadb=True)):
        ddl = str(CreateTable(tables.consumed).compile(dialect=each))
        assert "event_id CHAR(32)" in ddl


def test_rows_are_compared_so_that_an_index_serves_it() -> None:
    from sqlalchemy import tuple_

    after = tuple_(stock.c.low, stock.c.high) > tuple_(1, 2)
    assert spelled(select(stock.c.id).where(after)).endswith(
        "WHERE (stock.low >= %s AND (stock.low > %s OR stock.high > %s))"
    )
