"""Many at once: two hundred who want twenty seats while processes die, and payments that meet their expiry."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import pytest

from systems.petpro.booking.reservations import expire_if_due
from systems.petpro.booking.tables import Slot
from tests.databases import Databases
from tests.matrix import on_engines
from tests.systems.petpro.booking_stage import open_bookings
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


@both
async def test_payments_meet_the_expiry_and_cancellations(databases: Databases, tmp_path: Path) -> None:
    async with open_bookings(tmp_path / "home", {"booking": await databases.url("booking")}) as play:
        clinic = await play.clinic()
        slot = await play.slot(clinic, capacity=12)
        who = [await play.stage.customer() for _ in range(12)]
        made = [await play.booked(each, slot) for each in who]
        play.clock.advance(seconds=901)
        jobs = play.world.process.units["booking"].jobs
        answers = await asyncio.gather(
            *(play.send(each) for each in made[:9]),
            jobs.run_now("expire_reservations"),
            *(play.cancel(each, person) for each, person in zip(made[6:], who[6:], strict=True)),
            *(play.send(each) for each in made[:9]),
            return_exceptions=True,
        )
        assert [each for each in answers if isinstance(each, BaseException)] == []
        await play.world.run_due()
        await play.world.advance(minutes=2)
        await play.check_books()
        for each in made:
            row, payment = await play.row(each), await play.payment(each)
            kept = (row.status, payment.status) == ("confirmed", "success")
            returned = (row.status, payment.status) == ("cancelled", "refunded")
            assert kept or returned or (row.status, payment.status) == ("cancelled", "failed"), (
                row.status,
                payment.status,
            )
            assert payment.status == "failed" or each in made[:9]
        taken = len([each for each in made if (await play.row(each)).status == "confirmed"])
        assert (await play.slot_row(slot)).booked_count == taken
        assert await play.stage.dead_letters() == []


@both
async def test_slots_of_nobody_are_made_once_by_many_at_once(databases: Databases, tmp_path: Path) -> None:
    async with open_bookings(tmp_path / "home", {"booking": await databases.url("booking")}) as play:
        clinic = await play.clinic()
        wish = {"dateFrom": "2030-01-07", "dateTo": "2030-01-07", "startTime": "09:00", "endTime": "10:30"}
        path = f"/services/{clinic.service['id']}/slots"
        answers = await asyncio.gather(*(play.stage.call("POST", path, clinic.owner, **wish) for _ in range(8)))
        assert sorted(answer.json()["created"] for answer in answers) == [0] * 7 + [3]
        assert len(await play.stage.rows("booking", Slot)) == 3


@on_engines("postgres-schemas", why="SQLite has one writer at a time, whom nobody meets")
async def test_a_webhook_waits_for_the_expiry_that_it_meets(databases: Databases, tmp_path: Path) -> None:
    url = await databases.url("booking")
    async with open_bookings(tmp_path / "home", {"booking": url}) as play:
        clinic, who = await play.clinic(), await play.stage.customer()
        made = await play.booked(who, await play.slot(clinic))
        play.clock.advance(seconds=901)
        async with play.world.work("booking").transaction() as tx:
            assert await expire_if_due(UUID(made["reservationId"]), tx)
            sending = asyncio.create_task(play.send(made))
            await somebody_waits(url)
        assert (await sending).status_code == 200
        await play.world.run_due()
        assert ((await play.row(made)).status, (await play.payment(made)).status) == ("cancelled", "refunded")
        await play.check_books()


async def somebody_waits(url: str) -> None:
    """Until a transaction in the database waits for a lock."""
    connection = await asyncpg.connect(url)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    try:
        async with asyncio.timeout(30):
            while not await connection.fetchval(waiting):
                pass
    finally:
        await connection.close()
