"""Booking's counter: what it costs, what it remembers, and how it is kept true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from freehold import Unavailable
from systems.booking_rush.booking.inventory import reconcile
from systems.booking_rush.booking.tables import TenantDirectory, UserDirectory, ZoneDirectory, ZoneInventory
from systems.booking_rush.ticket import queries
from tests.databases import Databases, statements
from tests.systems.booking_rush.catalogue import HOME, problem
from tests.systems.booking_rush.stage import Seats, Stage, open_stage


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


async def test_many_reservations_cost_few_statements(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(500,))
    buyers = [await stage.person() for _ in range(101)]
    assert (await stage.reserve(buyers.pop(), event)).status_code == 201
    await stage.world.settle()
    with statements() as sent:
        answers = await asyncio.gather(*(stage.reserve(buyer, event) for buyer in buyers))
        inserts = [statement for statement in sent if "INSERT INTO bookings" in statement]
    assert {answer.status_code for answer in answers} == {201}
    assert len(inserts) <= 20
    await stage.world.settle()
    assert (await stage.seats(event)).open == 101


async def test_a_sold_out_refusal_asks_no_database(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(1,))
    ann, ben = await stage.person(), await stage.person()
    booking_id = await stage.held(ann, event)
    problem(await stage.reserve(ben, event), 409, "INSUFFICIENT_SEATS")
    with statements() as sent:
        problem(await stage.reserve(ben, event), 409, "INSUFFICIENT_SEATS")
        assert sent == []
    assert (await stage.act(f"/bookings/{booking_id}/cancel", ann)).status_code == 200
    assert (await stage.reserve(ben, event)).status_code == 201


async def test_ticket_may_be_away_for_a_minute(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    await stage.held(buyer, event)

    async def away(*_: Any) -> Any:
        raise Unavailable("ticket is away")

    monkeypatch.setattr(queries, "_one", away)
    stage.world.clock.advance(seconds=59)
    assert (await stage.reserve(buyer, event)).status_code == 201
    stage.world.clock.advance(seconds=2)
    answer = await stage.reserve(buyer, event)
    problem(answer, 503, "SERVICE_UNAVAILABLE")


async def test_a_changed_price_is_heeded_at_once_and_never_changes_a_booking(stage: Stage) -> None:
    organizer = await stage.person("organizer")
    event = await stage.event(organizer, seats=(10,))
    buyer = await stage.person()
    before = await stage.held(buyer, event)
    answer = await stage.call("PUT", f"/zones/{event['zones'][0]['id']}", organizer, price=3500.5, total_seats=12)
    assert answer.status_code == 200, answer.text
    await stage.world.settle()
    after = await stage.reserve(buyer, event, 2)
    assert after.json()["total_price"] == 7001.0
    assert (await stage.booking(before)).unit_price == 3000
    assert (await stage.seats(event)).left == 9


async def test_the_reconciler_mends_a_wrong_count(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    await stage.held(await stage.person(), event, 3)
    work, zone_id = stage.world.work("booking"), UUID(event["zones"][0]["id"])
    assert not (await reconcile(work, 100)).repaired
    async with work.transaction() as tx:
        await tx.execute(update(ZoneInventory).where(ZoneInventory.zone_id == zone_id).values(taken=7, revision=99))
    await stage.world.run_job("booking", "inventory_reconciler")
    assert await stage.seats(event) == Seats(left=7, open=3, available=7, reserved=3, sold=0)
    assert f"zone {zone_id}: taken was 7, mended to 3" in caplog.text


async def test_a_lost_count_is_made_anew_before_anything_is_sold(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4,))
    await stage.held(await stage.person(), event, 3)
    async with stage.world.work("booking").transaction() as tx:
        await tx.execute(ZoneInventory.__table__.delete())  # type: ignore[attr-defined]
    problem(await stage.reserve(await stage.person(), event, 2), 409, "INSUFFICIENT_SEATS")
    assert (await stage.reserve(await stage.person(), event, 1)).status_code == 201


async def test_admins_see_and_sync_the_counts(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(4, 5))
    admin = await stage.person("super_admin")
    async with stage.world.work("booking").transaction() as tx:
        await tx.execute(ZoneInventory.__table__.delete())  # type: ignore[attr-defined]
    for zone in event["zones"]:
        await stage.live_seats.forget(UUID(zone["id"]))
    status = (await stage.call("GET", "/admin/inventory-status", admin)).json()
    assert [(zone["redis_available"], zone["in_sync"]) for zone in status["data"]] == [(-1, False)] * 2
    synced = await stage.act("/admin/sync-inventory", admin)
    assert synced.json()["zones_synced"] == 2
    status = (await stage.call("GET", "/admin/inventory-status", admin)).json()
    assert {(zone["redis_available"], zone["in_sync"]) for zone in status["data"]} == {(4, True), (5, True)}
    assert {zone["zone_id"] for zone in status["data"]} == {zone["id"] for zone in event["zones"]}


async def test_lists(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(20,))
    ann, ben, admin = await stage.person(), await stage.person(), await stage.person("admin")
    mine = []
    for _ in range(3):
        mine.append(await stage.held(ann, event))
        stage.world.clock.advance(seconds=1)
    theirs = await stage.held(ben, event)
    page = (await stage.call("GET", "/bookings?page=1&page_size=2", ann)).json()
    assert [row["id"] for row in page["data"]] == [mine[2], mine[1]]
    assert page["meta"] == {"page": 1, "page_size": 2, "total_items": 3, "total_pages": 2}
    assert {row["id"] for row in (await stage.call("GET", "/bookings/pending", ann)).json()["data"]} == set(mine)
    assert {row["id"] for row in (await stage.call("GET", "/bookings/pending", admin)).json()["data"]} == {
        *mine,
        theirs,
    }
    problem(await stage.call("GET", "/bookings/summary", ann), 400, "VALIDATION_ERROR")


async def test_a_deleted_user_holds_nothing(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer, admin = await stage.person(), await stage.person("admin")
    bought, held = await stage.bought(buyer, event, 1), await stage.held(buyer, event, 2)
    assert (await stage.call("DELETE", f"/users/{buyer.id}", admin)).status_code == 200
    await stage.world.settle()
    assert (await stage.booking(held)).status_reason == "user_deleted"
    assert (await stage.booking(bought)).status == "confirmed"


async def test_directories_follow_their_owners(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,), venue_name="Hall")
    made = await stage.made("/auth/register", {}, email="ann@example.com", password="Test123!", name="Ann Lee")
    await stage.call("PUT", f"/tenants/{HOME}", await stage.person("super_admin"), name="Home")
    await stage.world.settle()
    async with stage.world.work("booking").transaction(readonly=True) as tx:
        zone = await tx.get(ZoneDirectory, UUID(event["zones"][0]["id"]))
        user = await tx.get(UserDirectory, UUID(made["user"]["id"]))
        tenant = await tx.get(TenantDirectory, HOME)
    assert zone is not None
    assert user is not None
    assert tenant is not None
    assert (zone.event_name, zone.venue_name, zone.total_seats, zone.max_tickets_per_user) == ("Rush", "Hall", 10, 10)
    assert (user.email, user.deleted, tenant.name) == ("ann@example.com", False, "Home")
