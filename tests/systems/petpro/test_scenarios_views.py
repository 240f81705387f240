"""The acceptance scenario of views, and what is asked of them while they are read all the time."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import delete

from systems.petpro.views.rebuilding import WIDE
from systems.petpro.views.tables import UserBookingRow, ViewState
from tests.systems.petpro.booking_stage import Bookings
from tests.systems.petpro.market_stage import open_on
from tests.systems.petpro.stage import Person, Stage, problem, stage_mark, system
from tests.systems.petpro.views_fresh import assert_fresh, kept

pytestmark = stage_mark
PLAYED = system

BOOKINGS, READS = 200, 50
PACE = 1 / 50
"""Seconds between two reads: in one process a reader that never rests would let nobody else have a turn."""


async def test_15_view_rebuild_under_load(play: Bookings) -> None:
    stage, clinic = play.stage, await play.clinic()
    admin, buyers = await stage.admin(), await asyncio.gather(*(stage.customer() for _ in range(20)))
    pets = await asyncio.gather(*(play.pet(each) for each in buyers))
    slots = [await play.slot(clinic, hours=48 + hour, capacity=20) for hour in range(BOOKINGS // 20)]
    counts: list[int] = []
    made = asyncio.Semaphore(0)

    async def book(who: Person, pet: Any) -> None:
        for slot in slots:
            wish = {"petId": str(pet)}
            held = await stage.http.post(f"/api/v1/slots/{slot}/reserve", headers=who.headers, json=wish)
            assert held.status_code == 201, held.text
            body = {"reservationId": held.json()["reservationId"], "paymentMethod": "e_wallet"}
            booked = await stage.http.post("/api/v1/bookings", headers=who.headers, json=body)
            assert booked.status_code == 201, booked.text
            cancelled = await stage.http.put(
                f"/api/v1/bookings/{booked.json()['id']}/cancel", headers=who.headers, json={"reason": "full"}
            )  # a pet has three live bookings at most
            assert cancelled.status_code == 200, cancelled.text
            made.release()

    async def rebuild() -> None:
        for _ in range(BOOKINGS // 4):
            await made.acquire()
        path = f"/api/v1/views/{UserBookingRow.__tablename__}/rebuild"
        asked = await asyncio.gather(*(stage.http.post(path, headers=admin.headers) for _ in range(2)))
        first, second = sorted(asked, key=lambda answer: answer.status_code)
        assert (first.status_code, first.json()["state"]) == (202, "rebuilding")
        problem(second, 409, "REBUILD_RUNNING")
        await stage.world.run_job("views", "rebuild_view")

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read(stage, admin, counts))
        async with asyncio.TaskGroup() as busy:
            busy.create_task(rebuild())
            for who, pet in zip(buyers, pets, strict=True):
                busy.create_task(book(who, pet))
        reading.cancel()
    await stage.world.settle()
    assert counts == sorted(counts), "reads never return fewer rows than before"
    who = {buyer.id for buyer in buyers}
    assert sum(row["user_id"] in who for row in (await kept(stage, UserBookingRow)).values()) == BOOKINGS
    await assert_fresh(stage)
    (state,) = await stage.rows("views", ViewState, ViewState.view_name == UserBookingRow.__tablename__)
    assert (state.state, state.generation) == ("live", 1)


async def read(stage: Stage, admin: Person, counts: list[int]) -> None:
    """Read the bookings over and over, until cancelled."""
    while True:
        answer = await stage.http.get("/api/v1/views/user-bookings?limit=1", headers=admin.headers)
        assert answer.status_code == 200, answer.text
        counts.append(answer.json()["meta"]["total"])
        await asyncio.sleep(PACE)


async def test_views_dropped_and_rebuilt_while_they_are_read(play: Bookings) -> None:
    """All three at once, with readers of each; then they equal a fresh computation, and the lag is told."""
    stage = play.stage
    clinic, who = await play.clinic(), await stage.customer()
    for hour in range(3):
        await play.confirmed(who, await play.slot(clinic, hours=72 + hour))
    market = await open_on(stage)
    shop = await market.shop()
    await market.delivered(who, (await market.listed(shop, "10.00"), 2))
    views, reads = stage.host("views").service, 0
    async with stage.world.work("views").transaction() as tx:
        for view in views.every_view():
            await tx.execute(delete(view.table))
    over = asyncio.Event()

    async def reader(path: str) -> None:
        nonlocal reads
        while not over.is_set() or reads < READS:
            answer = await stage.http.get(f"/api/v1/views/{path}", headers=market.admin.headers)
            assert answer.status_code == 200, answer.text
            reads += 1
            await asyncio.sleep(4 * PACE)

    async with asyncio.TaskGroup() as group:
        for path in ("user-bookings", "product-availability", "vendor-performance", "status"):
            group.create_task(reader(path))
        for name in WIDE:
            answer = await stage.http.post(f"/api/v1/views/{name}/rebuild", headers=market.admin.headers)
            assert answer.status_code == 202, answer.text
        await stage.world.process.units["views"].jobs.run_now("rebuild_view")
        over.set()
    await stage.world.settle()
    await assert_fresh(stage)
    rows = (await stage.seen("/views/status", market.admin))["data"]
    assert [(row["state"], row["generation"], row["lagSeconds"]) for row in rows] == [("live", 1, 0.0)] * 3
