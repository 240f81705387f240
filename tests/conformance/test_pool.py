"""What a transaction leaves behind on its connection must not reach the next one that runs there."""

from __future__ import annotations

import asyncio
import socket
import traceback
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from freehold.engines import open_engine
from freehold.engines.prepared import driver_of
from freehold.model.errors import ConfigurationError, DatabaseUnavailable, Unavailable
from freehold.model.ports import Engine
from tests.databases import Databases, end_session, session_of
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 20
on_postgres = on_engines("postgres-schemas", why="they are about what is PostgreSQL's own")
on_a_server = on_engines("postgres-schemas", "mariadb", why="SQLite has no pool")

SETTINGS = {
    "postgresql": (
        (
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            "  set local lock_timeout = 123",
            "SET LOCAL transaction_isolation = 'serializable'",
        ),
        [f"current_setting('{name}')" for name in ("transaction_isolation", "transaction_read_only", "lock_timeout")],
    ),
    "mysql": (
        (
            "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            "  set innodb_lock_wait_timeout = 123",
            "SET @mine = 1, autocommit = 1",
        ),
        ["@@tx_isolation", "@@tx_read_only", "@@innodb_lock_wait_timeout", "@@autocommit", "@mine"],
    ),
}
"""By dialect: what a transaction may set for itself, and where that would show."""

metadata = MetaData()
notes = Table(
    "pool_notes", metadata, Column("id", Integer, primary_key=True), Column("text", String(50), nullable=False)
)


@pytest.fixture
async def narrow(databases: Databases) -> Engine:
    """An engine with one connection, so that every transaction runs on the same."""
    option: dict[str, Any] = {} if databases.kind == "sqlite" else {"pool_size": 1, "max_overflow": 0}
    engine = await databases.open("orders", **option)
    await engine.create(metadata)
    return engine


async def write(engine: Engine, number: int) -> None:
    async with engine.write() as connection:
        await connection.execute(insert(notes).values(id=number, text="x"))


async def numbers(engine: Engine) -> list[int]:
    async with engine.read() as connection:
        return list((await connection.scalars(select(notes.c.id).order_by(notes.c.id))).all())


@pytest.mark.parametrize("steps", range(12))
async def test_whoever_is_cancelled_while_it_begins_leaves_nothing_behind(narrow: Engine, steps: int) -> None:
    """Cut off after so many turns of the event loop: before, while and after the server begins."""

    async def read() -> None:
        async with narrow.read() as connection:
            await connection.execute(text("SELECT 1"))
            await connection.execute(text("SELECT 1"))

    for _ in range(10):
        task = asyncio.create_task(read())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(DEADLINE), narrow.write() as connection:
            assert await connection.scalar(select(func.count()).select_from(notes)) == 0
            await connection.execute(insert(notes).values(id=1, text="x"))
            await connection.execute(notes.delete())


@on_a_server
async def test_what_a_transaction_sets_for_itself_ends_with_it_though_others_wait(narrow: Engine) -> None:
    settings, names = SETTINGS[narrow.dialect]

    async def look() -> list[str]:
        async with narrow.write() as connection:
            return [await connection.scalar(text(f"SELECT {name}")) for name in names]

    usual = await look()
    for setting in settings:
        async with narrow.write() as connection:
            await connection.execute(text(setting))
            waiting = [asyncio.create_task(look()) for _ in range(3)]
            while len(narrow._pool._waiting) < 3:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
        assert await asyncio.gather(*waiting) == [usual] * 3


@on_a_server
async def test_a_failed_transaction_hands_on_a_sound_one_and_is_not_reported_as_committed(narrow: Engine) -> None:
    async def fail() -> None:
        async with narrow.write() as connection:
            await connection.execute(insert(notes).values(id=1, text="x"))
            waiting.append(asyncio.create_task(write(narrow, 2)))
            while not narrow._pool._waiting:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT no_such_column"))

    waiting: list[asyncio.Task[None]] = []
    with pytest.raises(InvalidRequestError, match="rolled back"):
        await fail()
    await asyncio.gather(*waiting)
    assert await numbers(narrow) == [2]


@on_a_server
async def test_a_waiter_that_leaves_as_it_is_handed_a_transaction_takes_nothing_with_it(narrow: Engine) -> None:
    for number in range(1, 41):
        async with narrow.write() as connection:
            await connection.execute(insert(notes).values(id=number, text="x"))
            leaving = asyncio.create_task(write(narrow, 1000 + number))
            staying = asyncio.create_task(write(narrow, 100 + number))
            while len(narrow._pool._waiting) < 2:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.0001 * (number % 20), leaving.cancel)
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(leaving, staying, return_exceptions=True)
        assert staying.exception() is None
    found = set(await numbers(narrow))
    assert {*range(1, 41), *range(101, 141)} <= found
    pool = narrow._pool  # type: ignore[attr-defined]
    assert pool._open == 1
    assert len(pool._idle) == 1


@on_postgres
async def test_a_commit_that_is_refused_raises_and_those_who_wait_go_on(narrow: Engine) -> None:
    async with narrow.write() as connection:
        await connection.execute(
            text("CREATE TABLE late (id int, CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)")
        )

    async def twice(value: int) -> None:
        async with narrow.write() as connection:
            await connection.execute(text("INSERT INTO late VALUES (:v), (:v)"), {"v": value})

    async with narrow.write():
        tasks = [asyncio.create_task(twice(7771)), asyncio.create_task(write(narrow, 1)), asyncio.create_task(twice(2))]
        while len(narrow._pool._waiting) < 3:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert narrow.is_duplicate(first)  # type: ignore[arg-type]
    assert second is None
    assert narrow.is_duplicate(third)  # type: ignore[arg-type]
    assert "7771" not in "".join(traceback.format_exception(first))


@on_a_server
async def test_a_session_that_dies_between_two_transactions_is_replaced(narrow: Engine, databases: Databases) -> None:
    async with narrow.read() as connection:
        session = await session_of(connection)
    await end_session(databases.admin_url, session)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(write(narrow, number) for number in range(1, 6)))
    assert await numbers(narrow) == [1, 2, 3, 4, 5]


@on_a_server
async def test_a_pool_that_is_closed_under_load_lets_everybody_finish_and_keeps_no_connection(
    databases: Databases,
) -> None:
    engine = await databases.open("orders", pool_size=2, max_overflow=1)
    await engine.create(metadata)
    tasks = [asyncio.create_task(write(engine, number)) for number in range(1, 31)]
    await asyncio.sleep(0.01)
    await engine.close()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks)
    assert await numbers(engine) == list(range(1, 31))
    assert engine._pool._open == 0  # type: ignore[attr-defined]


async def test_what_fails_outside_the_database_is_not_the_database_being_away(narrow: Engine) -> None:
    for error in (ConnectionRefusedError("gateway"), TimeoutError(), OSError(5, "disk"), BrokenPipeError()):
        assert not narrow.is_unavailable(error)
        wrapped = RuntimeError("charge failed")
        wrapped.__cause__ = error
        assert not narrow.is_unavailable(wrapped)
    elsewhere = Unavailable("stock does not answer")
    elsewhere.__cause__ = DatabaseUnavailable("that of stock")
    assert not narrow.is_unavailable(elsewhere)


@on_a_server
async def test_a_server_that_refuses_or_keeps_silent_is_unavailable(databases: Databases) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    for url, option in (
        (f"{databases.scheme}://nobody:planted-secret@127.0.0.1:1/none", {}),
        (f"{databases.scheme}://nobody:planted-secret@127.0.0.1:{port}/none", {"connect_timeout": 0.2}),
        (f"{databases.scheme}://nobody:planted-secret@no-such-host.invalid/none", {}),
    ):
        engine = open_engine(url, **option)
        with pytest.raises(DatabaseUnavailable) as caught:
            await engine.ping()
        assert engine.is_unavailable(caught.value)
        assert "planted-secret" not in "".join(traceback.format_exception(caught.value)) + repr(engine)
        await engine.close()
    silent.close()


async def test_a_failing_statement_tells_no_values_though_its_whole_chain_is_logged(narrow: Engine) -> None:
    await write(narrow, 1)
    for row in ({"id": 1, "text": "planted-secret"}, {"id": 2, "text": None}):
        with pytest.raises(DBAPIError) as caught:
            async with narrow.write() as connection:
                await connection.execute(insert(notes).values(id=5, text="planted-secret"))
                await connection.execute(text("INSERT INTO pool_notes (id, text) VALUES (:id, :text)"), row)
        told = "".join(traceback.format_exception(caught.value))
        assert "planted-secret" not in told
        assert "Failing row contains" not in told
        assert "Key (" not in told
        assert "entry '" not in told


async def test_an_address_that_cannot_be_read_is_not_shown() -> None:
    url = "postgresql//user:planted-secret@host"
    with pytest.raises(ConfigurationError) as caught:
        open_engine(url)
    assert "planted-secret" not in "".join(traceback.format_exception(caught.value))


@on_postgres
async def test_a_prepared_statement_survives_a_change_of_the_schema(narrow: Engine) -> None:
    prepared = narrow.prepare(select(notes))
    await write(narrow, 1)
    async with narrow.read() as connection:
        await prepared.fetch(connection, {})
    async with narrow.write() as connection:
        await connection.execute(text("ALTER TABLE pool_notes ALTER COLUMN id TYPE bigint"))
    with pytest.raises(Exception, match="cached statement plan") as caught:
        async with narrow.read() as connection:
            await prepared.fetch(connection, {})
    assert narrow.is_conflict(caught.value), "the transaction is worth repeating"
    async with narrow.read() as connection:
        assert [row[0] for row in await prepared.fetch(connection, {})] == [1]
        assert not driver_of(connection).is_closed()
