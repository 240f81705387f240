"""What is SQLite's own: one writer at a time, and other processes on the file."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from freehold.engines import open_engine
from freehold.model.ports import Engine

pytestmark = [
    pytest.mark.guarantee("G9"),
    pytest.mark.cell(engine="sqlite"),
    pytest.mark.only("they are about what is SQLite's own"),
]

DEADLINE = 20


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    opened = open_engine(f"sqlite:///{tmp_path}/one.db", busy_timeout=5.0)
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE counters (value INTEGER)"))
        await connection.execute(text("INSERT INTO counters VALUES (0)"))
    yield opened
    await opened.close()


async def count_up(engine: Engine, pause: float = 0.0) -> None:
    async with engine.write() as connection:
        value = await connection.scalar(text("SELECT value FROM counters"))
        await asyncio.sleep(pause)
        await connection.execute(text("UPDATE counters SET value = :value"), {"value": value + 1})


async def value_of(engine: Engine) -> int:
    async with engine.read() as connection:
        return int(await connection.scalar(text("SELECT value FROM counters")))


async def test_whoever_is_cancelled_while_the_file_is_locked_leaves_no_transaction(
    engine: Engine, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    rng = random.Random(7)
    for _ in range(20):
        other.execute("BEGIN IMMEDIATE")
        tasks = [asyncio.create_task(count_up(engine)) for _ in range(3)]
        await asyncio.sleep(rng.random() / 100)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        other.execute("COMMIT")
        async with asyncio.timeout(DEADLINE):
            await count_up(engine)
        other.execute("BEGIN IMMEDIATE")  # nothing of ours holds the file
        other.execute("COMMIT")
    assert await value_of(engine) == 20
    other.close()


async def test_cancellations_at_every_moment_lose_no_commit_and_wedge_no_writer(engine: Engine) -> None:
    rng, done = random.Random(8), 0
    for _ in range(100):
        task = asyncio.create_task(count_up(engine, rng.random() / 1000))
        waiting = asyncio.create_task(count_up(engine))
        await asyncio.sleep(rng.random() / 500)
        task.cancel()
        async with asyncio.timeout(DEADLINE):
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            await waiting
        done += 1 + (outcome is None)
    assert await value_of(engine) == done


async def test_a_full_disk_or_a_failing_one_is_unavailable_and_a_broken_statement_is_not(engine: Engine) -> None:
    for code, away in ((sqlite3.SQLITE_FULL, True), (sqlite3.SQLITE_IOERR_WRITE, True), (sqlite3.SQLITE_ERROR, False)):
        error = sqlite3.OperationalError("as the driver raises it")
        error.sqlite_errorcode = code
        assert engine.is_unavailable(error) is away
        assert not engine.is_conflict(error)


async def test_reads_that_always_overlap_do_not_let_the_write_ahead_log_grow_for_ever(tmp_path: Path) -> None:
    limit = 256 * 1024
    engine = open_engine(f"sqlite:///{tmp_path}/busy.db", wal_limit=limit)
    async with engine.write() as connection:
        await connection.execute(text("CREATE TABLE counters (value INTEGER)"))
        await connection.execute(text("INSERT INTO counters VALUES (0)"))
    over = asyncio.Event()
    snapshots: list[list[int]] = []

    async def look() -> None:
        """One read after another, each open while the other's begins."""
        while not over.is_set():
            async with engine.read() as connection:
                seen = [await connection.scalar(text("SELECT value FROM counters"))]
                await asyncio.sleep(0.002)
                seen.append(await connection.scalar(text("SELECT value FROM counters")))
            snapshots.append(seen)

    readers = [asyncio.create_task(look()) for _ in range(3)]
    longest = 0
    for _ in range(1_500):
        await count_up(engine)
        await asyncio.sleep(0)
        longest = max(longest, (tmp_path / "busy.db-wal").stat().st_size)
    over.set()
    await asyncio.gather(*readers)
    assert await value_of(engine) == 1_500
    assert longest < 4 * limit
    assert len(snapshots) > 10
    assert all(first == second for first, second in snapshots), "a read saw two states"
    await engine.close()
