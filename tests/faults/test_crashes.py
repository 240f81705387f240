"""A process dies at a named point while a crowd buys; it is started again; at the end every database is counted."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.faults.site import Crowd, open_site
from tests.matrix import FULL
from tests.systems.booking_rush.books import Books

# The points, and how often each is passed before the process dies there: so late that a crowd is at work.
CRASHES = {
    "publishing": {
        "commit.before": 30,
        "commit.after": 30,
        "publish.before": 6,
        "publish.after": 6,
        "mark.before": 6,
        "mark.after": 6,
    },
    "handling": {
        "inbox.before": 15,
        "inbox.after": 15,
        "handler.before_commit": 15,
        "handler.after_commit": 15,
        "coalesced.before_commit": 4,
        "coalesced.after_commit": 4,
    },
    "flows": {
        "saga.before_step": 3,
        "saga.after_step": 3,
        "saga.before_compensation": 1,
        "saga.after_compensation": 1,
        "job.before": 4,
        "job.after": 4,
    },
}
KINDS = ["sqlite", "postgres-databases", "mariadb"]
RUNS = [(group, kind) for number, group in enumerate(CRASHES) for kind in (KINDS if FULL else [KINDS[number % 3]])]
"""Every group on every engine; or, in less time, each group on one of them."""
BUYERS = 120
SEATS = (55, 45)


@pytest.mark.parametrize(("kind", "engine_kind"), RUNS, indirect=["engine_kind"])
async def test_crashes_lose_and_double_nothing(databases: Databases, tmp_path: Path, kind: str) -> None:
    """The process dies at one point after another of its kind, each time under load."""
    first, *others = (f"{point}:{nth}" for point, nth in CRASHES[kind].items())
    async with open_site(databases, tmp_path, buyers=BUYERS, seats=SEATS) as site:
        await site.start(crash_at=first)
        alive = asyncio.create_task(site.keep_alive(others))
        crowd = Crowd(site)
        books = await Books.open(databases, tmp_path)
        try:
            await crowd.rush()
            await until_quiet(books, alive)
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)
        await site.stop()
        assert site.deaths == [-signal.SIGKILL] * len(CRASHES[kind]), site.output[-20:]
        assert await books.faults(set(crowd.granted), crowd.compensated) == []
        assert crowd.outcomes["refused"] > 0
        assert crowd.outcomes["succeeded"] > 0
        assert crowd.outcomes["compensated"] > 0


async def until_quiet(books: Books, alive: asyncio.Task[None], deadline: float = 60) -> None:
    """Until nothing is on its way in any database."""
    left: dict[str, int] = {}
    try:
        async with asyncio.timeout(deadline):
            while left := await books.open_work():
                if alive.done():
                    alive.result()
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"after {deadline} s there is still on its way: {left}") from None
