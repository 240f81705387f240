"""A process dies at a named point while a crowd buys; it is started again; at the end every database is counted."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.faults.books import Books
from tests.faults.site import Crowd, open_site

# The point, and how often it is passed before the process dies there: late enough for a crowd to be at work.
POINTS = {
    "commit.before": 120,
    "commit.after": 120,
    "publish.before": 25,
    "publish.after": 25,
    "mark.before": 25,
    "mark.after": 25,
    "inbox.before": 60,
    "inbox.after": 60,
    "handler.before_commit": 60,
    "handler.after_commit": 60,
    "saga.before_step": 8,
    "saga.after_step": 8,
    "job.before": 4,
    "job.after": 4,
    "coalesced.before_commit": 3,
    "coalesced.after_commit": 3,
}
KINDS = ["sqlite", "postgres-databases"]
BUYERS = 80
SEATS = (60, 45)


@pytest.mark.parametrize("engine_kind", KINDS, indirect=True)
@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_loses_and_doubles_nothing(databases: Databases, tmp_path: Path, point: str) -> None:
    async with open_site(databases, tmp_path, buyers=BUYERS, seats=SEATS) as site:
        await site.start(crash_at=f"{point}:{POINTS[point]}")
        alive = asyncio.create_task(site.keep_alive())
        crowd = Crowd(site)
        books = await Books.open(databases, tmp_path)
        try:
            await crowd.rush()
            await until_quiet(books, alive)
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)
        await site.stop()
        assert site.deaths == [-signal.SIGKILL], (
            f"{point} was not reached, or the process died again: {site.output[-20:]}"
        )
        assert await books.faults(set(crowd.granted)) == []
        assert crowd.outcomes["refused"] > 0
        assert crowd.outcomes["succeeded"] > 0


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
