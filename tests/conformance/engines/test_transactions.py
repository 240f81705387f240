"""What every engine promises of transactions, locks, errors and isolation between services."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from sqlalchemy import insert, literal, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from freehold.engines import open_engine
from freehold.model.ports import Engine
from tests.conformance.engines.tables import Base, Counter, Order
from tests.databases import Databases, end_session, session_of
from tests.matrix import PGBOUNCER, on_engines

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 20.0
REFUSALS = ("permission denied", "must be owner", "too many attached databases - max 0", "denied to user", "denied for user",
            "access denied; you need")  # fmt: skip

on_a_server = on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")


async def value_of(engine: Engine, name: str) -> int | None:
    async with engine.read() as connection:
        value: int | None = await connection.scalar(select(Counter.value).where(Counter.name == name))
        return value


async def add(engine: Engine, name: str, value: int = 0) -> None:
    async with engine.write() as connection:
        await connection.execute(insert(Counter).values(name=name, value=value))


async def test_a_block_commits_at_its_end(engine: Engine) -> None:
    await add(engine, "seats", 3)
    assert await value_of(engine, "seats") == 3


async def test_a_block_that_raises_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="no"):
        async with engine.write() as connection:
            await connection.execute(insert(Counter).values(name="seats"))
            raise RuntimeError("no")
    assert await value_of(engine, "seats") is None


async def test_a_read_transaction_refuses_to_write(engine: Engine) -> None:
    with pytest.raises(DBAPIError):
        async with engine.read() as connection:
            await connection.execute(insert(Counter).values(name="seats"))
    assert await value_of(engine, "seats") is None
    await add(engine, "seats")  # the connection that read may write again


async def test_a_read_sees_nothing_uncommitted(engine: Engine) -> None:
    await add(engine, "seats", 1)
    async with engine.write() as connection:
        await connection.execute(update(Counter).values(value=2))
        assert await value_of(engine, "seats") == 1
    assert await value_of(engine, "seats") == 2


async def test_an_orm_session_joins_the_transaction(engine: Engine) -> None:
    with pytest.raises(RuntimeError):
        async with engine.write() as connection, AsyncSession(connection) as session:
            session.add(Counter(name="lost"))
            await session.flush()
            raise RuntimeError
    async with engine.write() as connection, AsyncSession(connection) as session:
        session.add(Counter(name="kept", value=7))
        await session.flush()
    assert (await value_of(engine, "lost"), await value_of(engine, "kept")) == (None, 7)


async def test_a_savepoint_undoes_its_part_alone(engine: Engine) -> None:
    async with engine.write() as connection:
        await connection.execute(insert(Counter).values(name="outer", value=1))
        inner = await connection.begin_nested()
        await connection.execute(insert(Counter).values(name="inner", value=1))
        await inner.rollback()
    assert (await value_of(engine, "outer"), await value_of(engine, "inner")) == (1, None)


async def test_fifty_tasks_that_read_then_write_lose_no_update(engine: Engine) -> None:
    await add(engine, "seats")

    async def take_one() -> None:
        async with engine.write() as connection:
            query = select(Counter.value).where(Counter.name == "seats").with_for_update()
            value = await connection.scalar(query)
            await asyncio.sleep(0)
            assert value is not None
            await connection.execute(update(Counter).values(value=value + 1))

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(take_one() for _ in range(50)))
    assert await value_of(engine, "seats") == 50


async def test_readers_do_not_wait_for_a_writer(engine: Engine) -> None:
    await add(engine, "seats", 1)
    async with asyncio.timeout(DEADLINE), engine.write() as connection:
        await connection.execute(update(Counter).values(value=2))
        assert set(await asyncio.gather(*(value_of(engine, "seats") for _ in range(20)))) == {1}


async def test_a_cancelled_transaction_rolls_back_and_frees_its_connection(engine: Engine) -> None:
    started = asyncio.Event()

    async def write_and_hang(number: int) -> None:
        async with engine.write() as connection:
            await connection.execute(insert(Counter).values(name=f"lost {number}"))
            started.set()
            await asyncio.Event().wait()

    for number in range(15):  # more than there are connections
        started.clear()
        task = asyncio.create_task(write_and_hang(number))
        await asyncio.wait_for(started.wait(), DEADLINE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(DEADLINE):
        await add(engine, "kept")
    async with engine.read() as connection:
        assert list(await connection.scalars(select(Counter.name))) == ["kept"]


async def test_a_task_cancelled_while_it_waits_holds_nothing(engine: Engine) -> None:
    await add(engine, "seats")

    async def increment() -> None:
        async with engine.write() as connection:
            await connection.execute(update(Counter).values(value=Counter.value + 1))

    async with engine.write() as connection:
        await connection.execute(update(Counter).values(value=10))
        waiting = [asyncio.create_task(increment()) for _ in range(3)]
        await asyncio.wait(waiting, timeout=0.2)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1], timeout=DEADLINE)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*waiting[1:])
    assert waiting[0].cancelled()
    assert await value_of(engine, "seats") == 12


async def test_a_name_is_locked_until_its_transaction_ends(engine: Engine) -> None:
    async with engine.write() as first:
        assert await engine.try_lock(first, "sweep")
        if engine.dialect != "sqlite":  # there the second transaction could not even begin
            async with engine.write() as second:
                assert not await engine.try_lock(second, "sweep")
                assert await engine.try_lock(second, "another")
    async with engine.write() as third:
        assert await engine.try_lock(third, "sweep")


async def test_two_services_lock_the_same_name(engine: Engine, databases: Databases) -> None:
    other = await databases.open("payments")
    async with engine.write() as ours, other.write() as theirs:
        assert await engine.try_lock(ours, "sweep")
        assert await other.try_lock(theirs, "sweep")


async def test_a_taken_key_is_a_duplicate(engine: Engine) -> None:
    await add(engine, "seats")
    with pytest.raises(IntegrityError) as caught:
        await add(engine, "seats")
    assert engine.is_duplicate(caught.value)
    assert not engine.is_conflict(caught.value)
    assert not engine.is_unavailable(caught.value)


async def test_a_violated_check_is_no_duplicate_and_its_values_stay_out_of_the_message(engine: Engine) -> None:
    with pytest.raises(IntegrityError) as caught:
        async with engine.write() as connection:
            status = literal("no such status", Counter.name.type)
            await connection.execute(insert(Order).values(total=1, status=status))
    assert not engine.is_duplicate(caught.value)
    assert "parameters hidden" in str(caught.value)


@on_a_server
async def test_a_deadlock_is_a_conflict(engine: Engine) -> None:
    await add(engine, "a")
    await add(engine, "b")
    both = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with engine.write() as connection:
            await connection.execute(update(Counter).where(Counter.name == first).values(value=1))
            await both.wait()
            await connection.execute(update(Counter).where(Counter.name == second).values(value=1))

    async with asyncio.timeout(DEADLINE):
        results = await asyncio.gather(lock("a", "b"), lock("b", "a"), return_exceptions=True)
    errors = [result for result in results if result is not None]
    assert len(errors) == 1
    assert engine.is_conflict(errors[0])


@on_engines("sqlite", why="servers take as many writers as there are connections")
async def test_a_task_that_would_wait_for_itself_is_told_so(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="inside a write transaction already"):
        async with engine.write(), engine.write():
            pass
    await add(engine, "seats")


async def test_a_lock_that_does_not_come_free_is_a_conflict(engine: Engine, databases: Databases) -> None:
    option = {"busy_timeout": 0.1} if engine.dialect == "sqlite" else {"lock_timeout": 0.1}
    impatient = await databases.open("orders", **option)
    await add(engine, "seats")
    async with engine.write() as connection:
        await connection.execute(update(Counter).values(value=1))
        with pytest.raises(DBAPIError) as caught:
            async with impatient.write() as waiting:
                await waiting.execute(update(Counter).values(value=2))
        assert impatient.is_conflict(caught.value)
        assert not impatient.is_unavailable(caught.value)
    async with impatient.write() as connection:
        await connection.execute(update(Counter).values(value=3))
    assert await value_of(engine, "seats") == 3


async def test_a_database_that_is_not_there_is_unavailable(databases: Databases, tmp_path: object) -> None:
    if databases.kind == "sqlite":
        url = await databases.url("gone")
        engine = open_engine(url)
        os.mkdir(url.removeprefix("sqlite:///"))
    else:
        engine = open_engine(f"{databases.scheme}://nobody:x@127.0.0.1:1/none", connect_timeout=5)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await engine.ping()
    assert engine.is_unavailable(caught.value)
    assert not engine.is_conflict(caught.value)
    await engine.close()


@on_a_server
async def test_a_killed_session_is_unavailable_and_the_next_one_works(databases: Databases) -> None:
    engine = await databases.open("orders")
    with pytest.raises(DBAPIError) as caught:
        async with engine.write() as connection:
            await end_session(databases.admin_url, await session_of(connection))
            await connection.execute(text("SELECT 1"))
    assert engine.is_unavailable(caught.value)
    await engine.ping()


async def test_tables_are_created_once_though_two_processes_try(databases: Databases) -> None:
    engines = [await databases.open("orders") for _ in range(4)]
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(engine.create(Base.metadata) for engine in engines))
    await add(engines[0], "seats")


INCREMENT = """
import asyncio, sys
from sqlalchemy import text
from freehold.engines import open_engine

async def main():
    engine = open_engine(sys.stdin.readline().strip())
    for _ in range(100):
        async with engine.write() as connection:
            value = await connection.scalar(text("SELECT value FROM counters WHERE name = 'seats'" + sys.argv[1]))
            await connection.execute(text("UPDATE counters SET value = :value"), {"value": value + 1})
    await engine.close()

asyncio.run(main())
"""


async def test_two_processes_on_one_database_lose_no_update(engine: Engine, databases: Databases) -> None:
    await add(engine, "seats")
    url = await databases.url("orders")
    locking = "" if engine.dialect == "sqlite" else " FOR UPDATE"

    async def run() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", INCREMENT, locking, stdin=asyncio.subprocess.PIPE
        )
        await process.communicate(url.encode())
        assert process.returncode is not None
        return process.returncode

    async with asyncio.timeout(60):
        codes = list(await asyncio.gather(run(), run()))
    assert codes == [0, 0]
    assert await value_of(engine, "seats") == 200


@pytest.mark.guarantee("G6")
async def test_one_service_cannot_reach_anothers_tables(engine: Engine, databases: Databases) -> None:
    await add(engine, "seats", 5)
    intruder = await databases.open("payments")
    for statement in await attacks(databases):
        with pytest.raises(DBAPIError) as caught:
            async with intruder.write() as connection:
                await connection.execute(text(statement))
        message = str(caught.value).lower()
        assert any(reason in message for reason in REFUSALS), f"{statement}: {message}"
    assert await value_of(engine, "seats") == 5


async def attacks(databases: Databases) -> list[str]:
    """What a service could try with its own credentials."""
    url = await databases.url("orders")
    if databases.kind == "sqlite":
        path = url.removeprefix("sqlite:///")
        return [f"ATTACH '{path}' AS orders", f"ATTACH 'file:{path}?mode=ro' AS orders"]
    if databases.kind in ("postgres-schemas", PGBOUNCER):
        schema = url.partition("://")[2].partition(":")[0]
        return [
            f"SELECT * FROM {schema}.counters",
            f"UPDATE {schema}.counters SET value = 0",
            f"CREATE TABLE {schema}.mine (id int)",
            f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC",
            f"SET ROLE {schema}",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
        ]
    name = str(make_url(url).database)
    if databases.kind == "mariadb":
        return [
            f"SELECT * FROM {name}.counters",
            f"UPDATE {name}.counters SET value = 0",
            f"CREATE TABLE {name}.mine (id int)",
            f"DROP TABLE {name}.counters",
            f"DROP DATABASE {name}",
            f"USE {name}",
            f"GRANT SELECT ON {name}.* TO CURRENT_USER",
            "CREATE DATABASE mine",
            "CREATE USER mine",
            "SELECT * FROM mysql.global_priv",
            "SELECT LOAD_FILE('/etc/passwd') FROM mysql.user",
        ]
    return [
        f"SET ROLE {name}",
        f"ALTER DATABASE {name} OWNER TO CURRENT_USER",
        f"GRANT CONNECT ON DATABASE {name} TO CURRENT_USER",
    ]


@pytest.mark.guarantee("G6")
@on_engines("postgres-databases", "mariadb", why="elsewhere services have no database of their own on a server")
async def test_one_services_credentials_do_not_open_anothers_database(databases: Databases) -> None:
    ours, theirs = await databases.url("payments"), await databases.url("orders")
    intruder = open_engine(ours.rpartition("/")[0] + "/" + theirs.rpartition("/")[2])
    with pytest.raises(Exception, match=r"permission denied for database|Access denied for user"):
        await intruder.ping()
    await intruder.close()
