"""Behind PgBouncer in transaction mode, where the next transaction may meet another session of the server."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import bindparam, insert, make_url, select, text, update

from freehold.engines import open_engine
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Engine
from tests.conformance.engines.tables import Counter
from tests.databases import Databases, session_of
from tests.matrix import PGBOUNCER, on_engines

DEADLINE = 60
pytestmark = pytest.mark.guarantee("G9")
behind = on_engines(PGBOUNCER, why="it is about PgBouncer")


async def sessions(engine: Engine, number: int) -> set[int]:
    """Those that so many transactions at a time have met."""
    all_there = asyncio.Barrier(number)

    async def look() -> int:
        async with engine.read() as connection:
            await all_there.wait()
            return await session_of(connection)

    return set(await asyncio.gather(*(look() for _ in range(number))))


@behind
async def test_one_connection_meets_several_sessions_and_nobody_notices(engine: Engine, databases: Databases) -> None:
    """The case that prepared statements break on, made sure of."""
    other = await databases.open("orders", pool_size=8)
    prepared = engine.prepare(
        update(Counter).where(Counter.name == bindparam("which")).values(value=Counter.value + bindparam("by"))
    )
    async with engine.write() as connection:
        await connection.execute(insert(Counter).values(name="seats", value=0))
    met = set()
    async with asyncio.timeout(DEADLINE):
        for _ in range(30):
            busy = asyncio.create_task(sessions(other, 6))
            async with engine.write() as connection:
                met.add(await session_of(connection))
                assert await prepared.execute(connection, {"which": "seats", "by": 1}) == 1
                assert await connection.scalar(select(Counter.value).where(Counter.name == "seats")) is not None
            await busy
    assert len(met) > 1, "it was no test: every transaction met the same session"
    async with engine.read() as connection:
        assert await connection.scalar(select(Counter.value)) == 30


@behind
async def test_settings_are_those_of_every_transaction_though_sessions_change(databases: Databases) -> None:
    engine = await databases.open("orders", lock_timeout=1.5, pool_size=4)
    await sessions(await databases.open("orders", pool_size=8), 6)  # sessions that nobody has set up

    async def look() -> tuple[str, ...]:
        async with engine.write() as connection:
            names = ("lock_timeout", "jit", "timezone")
            return tuple([await connection.scalar(text(f"SHOW {name}")) for name in names])

    async with asyncio.timeout(DEADLINE):
        assert set(await asyncio.gather(*(look() for _ in range(20)))) == {("1500ms", "off", "UTC")}


@behind
async def test_without_the_option_the_address_says_what_to_do(databases: Databases) -> None:
    url = make_url(await databases.url("orders")).difference_update_query(["pgbouncer"])
    engine = open_engine(url.render_as_string(hide_password=False))
    with pytest.raises(ConfigurationError, match=r"PgBouncer is at that address .* Add \?pgbouncer=true to it"):
        await engine.ping()
    await engine.close()


@behind
async def test_an_option_that_is_neither_true_nor_false_is_refused(databases: Databases) -> None:
    with pytest.raises(ConfigurationError, match="pgbouncer=yes in the address is neither true nor false"):
        open_engine((await databases.url("orders")).replace("pgbouncer=true", "pgbouncer=yes"))
