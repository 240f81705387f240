"""Two hundred want twenty seats at once, and processes die of it: never more than twenty, and twenty when nobody fails."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.matrix import on_engines
from tests.systems.petpro.rush import BUYERS, SEATS, counted, open_world, rush, set_up

ROOT = Path(__file__).parents[3]
both = on_engines("sqlite", "postgres-schemas", why="a seat is decided by one row's lock, or by one writer")


@both
async def test_twenty_of_two_hundred_get_a_seat(databases: Databases, tmp_path: Path) -> None:
    async with open_world(tmp_path / "home", await databases.url("booking")) as world:
        await set_up(world)
        sampled: list[int] = []
        over = asyncio.Event()

        async def sample() -> None:
            while not over.is_set():
                sampled.append((await counted(world))[0])
                await asyncio.sleep(0)

        watching = asyncio.create_task(sample())
        answers = await rush(world)
        over.set()
        await watching
        assert answers == {"reserved": SEATS, "SLOT_UNAVAILABLE": BUYERS - SEATS}
        assert await counted(world) == (SEATS, SEATS, SEATS)
        assert max(sampled) <= SEATS


@both
@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
async def test_a_process_is_killed_in_the_rush(databases: Databases, tmp_path: Path, point: str) -> None:
    url, home = await databases.url("booking"), tmp_path / "home"
    async with open_world(home, url) as world:
        await set_up(world)
    # Some of the first commits are the toolkit's own.
    environment = {**os.environ, "FREEHOLD_CRASH_AT": f"{point}:12", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.systems.petpro.rush", str(home), url, cwd=ROOT, env=environment
    )
    assert await process.wait() == -signal.SIGKILL
    async with open_world(home, url) as world:
        slot, held, reserved = await counted(world)
        assert slot == held == reserved <= SEATS
        assert reserved > 0
        answers = await rush(world)
        assert answers["reserved"] == SEATS - reserved
        assert await counted(world) == (SEATS, SEATS, SEATS)
        await world.settle()
