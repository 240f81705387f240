"""What every engine promises of prepared statements, and a server's pool of transactions that follow each other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import bindparam, func, insert, null, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession

from freehold.model.ports import Engine
from freehold.runtime.bulk import BulkInsert, BulkInserts
from tests.conformance.engines.tables import Base, Counter, Order
from tests.databases import Databases, end_session, session_of
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 20.0
on_a_server = on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")


async def values(engine: Engine) -> dict[str, int]:
    async with engine.read() as connection:
        rows = await connection.execute(select(Counter.name, Counter.value))
        return {row.name: row.value for row in rows}


async def test_a_prepared_insert_says_what_was_new(engine: Engine) -> None:
    row: dict[str, Any] = {"name": bindparam("n"), "value": bindparam("v")}
    new = engine.prepare(engine.insert_new(Base.metadata.tables["counters"], [row], key=["name"]))
    async with engine.write() as connection:
        assert await new.execute(connection, {"n": "a", "v": 1}) == 1
        assert await new.execute(connection, {"n": "a", "v": 2}) == 0
    assert await values(engine) == {"a": 1}


async def test_a_prepared_statement_takes_lists_of_any_length(engine: Engine) -> None:
    async with engine.write() as connection:
        await connection.execute(insert(Counter), [{"name": name, "value": 1} for name in "abcd"])
    among = engine.among(Base.metadata.tables["counters"].c.name, "names")
    raised = engine.prepare(update(Counter).where(among).values(value=bindparam("v")))
    found = engine.prepare(select(Counter.name, Counter.value).where(among).order_by(Counter.name))
    async with engine.write() as connection:
        assert await raised.execute(connection, {"names": ["a", "c", "z"], "v": 5}) == 2
        assert await raised.execute(connection, {"names": [], "v": 9}) == 0
        rows = await found.fetch(connection, {"names": ["a", "b"]})
    assert [tuple(row) for row in rows] == [("a", 5), ("b", 1)]


async def test_a_prepared_statement_rolls_back_with_its_transaction(engine: Engine) -> None:
    row: dict[str, Any] = {"name": bindparam("n"), "value": bindparam("v")}
    new = engine.prepare(engine.insert_new(Base.metadata.tables["counters"], [row], key=["name"]))
    with suppress(RuntimeError):
        async with engine.write() as connection:
            await new.execute(connection, {"n": "a", "v": 1})
            raise RuntimeError
    assert await values(engine) == {}


@on_a_server
async def test_one_connection_serves_a_queue_in_which_some_fail_and_some_leave(databases: Databases) -> None:
    engine = await databases.open("orders", pool_size=1, max_overflow=0)
    await engine.create(Base.metadata)

    async def add(number: int) -> None:
        async with engine.write() as connection:
            await connection.execute(insert(Counter).values(name=str(number), value=1))
            await asyncio.sleep(0)
            if number % 3 == 0:
                raise RuntimeError

    async def look() -> None:
        async with engine.read() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(insert(Counter).values(name="read-only", value=1))

    tasks = [asyncio.create_task(look() if n % 10 == 9 else add(n)) for n in range(40)]
    await asyncio.sleep(0.001)
    left = tasks[5::10]
    for task in left:
        task.cancel()
    async with asyncio.timeout(DEADLINE):
        done = await asyncio.gather(*tasks, return_exceptions=True)
    kept = {str(n) for n in range(40) if done[n] is None and n % 10 != 9}
    assert set(await values(engine)) == kept
    assert {str(n) for n in range(40) if n % 10 not in (5, 9) and n % 3} == kept - {str(n) for n in range(5, 40, 10)}


@on_a_server
async def test_an_error_kept_quiet_is_not_committed_over(engine: Engine) -> None:
    with pytest.raises(InvalidRequestError, match="failed"):
        async with engine.write() as connection:
            await connection.execute(insert(Counter).values(name="lost", value=1))
            with suppress(DBAPIError):
                await connection.execute(text("SELECT no_such_column"))
    assert await values(engine) == {}


@on_a_server
async def test_a_sessions_rollback_is_not_committed_over(engine: Engine) -> None:
    with pytest.raises(InvalidRequestError, match="rolled back"):
        async with engine.write() as connection, AsyncSession(connection) as session:
            session.add(Counter(name="lost", value=1))
            await session.flush()
            await session.rollback()
    assert await values(engine) == {}


@on_a_server
async def test_connections_cut_while_idle_are_replaced(databases: Databases) -> None:
    engine = await databases.open("orders")
    await engine.create(Base.metadata)
    async with engine.read() as connection:
        session = await session_of(connection)
    await end_session(databases.admin_url, session)
    assert await values(engine) == {}


async def test_rows_of_several_tables_are_inserted_together_or_not_at_all(engine: Engine) -> None:
    counters = BulkInsert(Base.metadata.tables["counters"], ["name", "value", "version"])
    orders = BulkInsert(Base.metadata.tables["orders"], ["id", "total", "status", "document"])
    together = BulkInserts()
    ids = [UUID(int=number) for number in range(3)]
    made = [
        {"id": id, "total": Decimal("9.99"), "status": "paid", "document": {"n": n} if n else None}
        for n, id in enumerate(ids)
    ]
    counted = [{"name": name, "value": 1, "version": 2} for name in "ab"]
    async with engine.write() as connection:
        await together(connection, {counters: counted, orders: made})
    async with engine.read() as connection:
        rows = await connection.execute(select(Order.id, Order.total, Order.status, Order.document).order_by(Order.id))
        assert [row._asdict() for row in rows] == made
        nothing = await connection.scalar(select(func.count()).where(Order.document.is_(null())))
        assert nothing == 1, "None is no document"
    assert await values(engine) == {"a": 1, "b": 1}
    with pytest.raises(IntegrityError):
        async with engine.write() as connection:
            await together(connection, {counters: counted, orders: [made[0] | {"id": UUID(int=9)}]})
    async with engine.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(Order)) == 3
