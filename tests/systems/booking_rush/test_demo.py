"""The demo data and the load set."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from freehold.testing import World
from systems.booking_rush import demo
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Account, Tenant
from systems.booking_rush.booking.tables import Booking, UserDirectory, ZoneDirectory, ZoneInventory
from systems.booking_rush.payment.tables import CustomerDirectory, Payment
from systems.booking_rush.system import system
from systems.booking_rush.ticket.tables import Category, Event, Show, TenantDirectory, Zone
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import FAST


async def rows(world: World, service: str, table: type[Any]) -> list[Any]:
    async with world.work(service).transaction(readonly=True) as tx:
        return list(await tx.scalars(select(table)))


async def count(world: World, service: str, table: type[Any]) -> int:
    async with world.work(service).transaction(readonly=True) as tx:
        return int(await tx.scalar(select(func.count()).select_from(table)))


def works(world: World) -> dict[str, Any]:
    return {service.name: world.work(service.name) for service in system.services}


def silent(what: str, done: int, of: int) -> None:
    assert 0 < done <= of, what


def interrupted(what: str, done: int, of: int) -> None:
    if what == "users":
        raise InterruptedError


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-schemas"], indirect=True)
async def test_the_demo_is_whole_and_loads_once(databases: Databases) -> None:
    urls = {service.name: await databases.url(service.name) for service in system.services}
    async with World(system, databases=urls, given={AuthSettings: FAST}) as world:
        with pytest.raises(InterruptedError):
            await demo.load(works(world), "demo", interrupted)
        await demo.load(works(world), "demo", silent)
        await world.settle()
        before = await _invariants(world)
        outbox = [unit.host.outbox.commits for unit in world.process.units.values()]
        world.clock.advance(days=1)
        await demo.load(works(world), "demo", silent)
        assert outbox == [unit.host.outbox.commits for unit in world.process.units.values()]
        assert await _invariants(world) == before
        await world.run_job("booking", "inventory_reconciler")
        login = {"email": "customer@test.com", "password": "Test123!"}
        assert (await world.http.post("/api/v1/auth/login", json=login)).status_code == 200
        assert (await world.http.get("/api/v1/events?limit=100")).json()["meta"]["total"] == 23


async def _invariants(world: World) -> dict[str, Any]:
    bookings, payments = await rows(world, "booking", Booking), await rows(world, "payment", Payment)
    zones, shows = await rows(world, "ticket", Zone), {show.id: show for show in await rows(world, "ticket", Show)}
    by_booking = {payment.booking_id: payment for payment in payments}
    sold: dict[Any, int] = {}
    held: dict[Any, int] = {}
    for booking in bookings:
        payment = by_booking[booking.id]
        assert (payment.amount, payment.user_id) == (booking.unit_price * booking.quantity, booking.user_id)
        if booking.status == "confirmed":
            assert (payment.status, payment.id) == ("succeeded", booking.payment_id)
            sold[booking.zone_id] = sold.get(booking.zone_id, 0) + booking.quantity
            key = booking.user_id, booking.event_id
            held[key] = held.get(key, 0) + booking.quantity
        else:
            refunded = booking.status_reason == "payment_refunded"
            assert payment.status == ("refunded" if refunded else "cancelled")
    assert max(held.values()) <= 10
    for zone in zones:
        assert (zone.reserved_seats, zone.sold_seats) == (0, sold.get(zone.id, 0))
    for counted in await rows(world, "booking", ZoneInventory):
        assert counted.taken == sold.get(counted.zone_id, 0)
    for show in shows.values():
        mine = [zone for zone in zones if zone.show_id == show.id]
        assert show.total_capacity == sum(zone.total_seats for zone in mine)
        assert show.sold_count == sum(zone.sold_seats for zone in mine)
    shares = [sum(b.status == status for b in bookings) / len(bookings) for status in ("confirmed", "expired")]
    assert shares == [pytest.approx(0.7, abs=0.03), pytest.approx(0.15, abs=0.03)]
    people = await count(world, "auth", Account)
    assert await count(world, "booking", UserDirectory) == await count(world, "payment", CustomerDirectory) == people
    assert await count(world, "ticket", TenantDirectory) == await count(world, "auth", Tenant) == 2
    assert await count(world, "booking", ZoneDirectory) == len(zones)
    assert all(row.show_date and row.event_name for row in await rows(world, "booking", ZoneDirectory))
    assert await count(world, "ticket", Category) == 6
    return {
        "events": sorted(event.status for event in await rows(world, "ticket", Event)),
        "shows": sorted(show.status for show in shows.values()),
        "people": people,
        "bookings": len(bookings),
        "sold": sum(sold.values()),
    }


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
async def test_the_load_set_has_the_ids_of_the_specification(databases: Databases) -> None:
    urls = {service.name: await databases.url(service.name) for service in system.services}
    async with World(system, databases=urls, given={AuthSettings: FAST}) as world:
        await demo.load_set(works(world), silent, users=1200, seats=250_000)
        await world.settle()
        zones = await rows(world, "ticket", Zone)
        assert len(zones) == 45
        assert {zone.total_seats for zone in zones} == {250_000}
        assert "b0000000-0000-0009-0005-000000000000" in {str(zone.id) for zone in zones}
        assert str(min(show.id for show in await rows(world, "ticket", Show))) == "c0000000-0000-0000-0001-000000000001"
        ids = {str(account.id) for account in await rows(world, "auth", Account)}
        assert "a0000000-0000-0000-0000-000000001200" in ids
        login = {"email": "loadtest7@test.com", "password": "Test123!"}
        assert (await world.http.post("/api/v1/auth/login", json=login)).status_code == 200
        assert len((await world.http.get("/api/v1/zones/active?limit=100")).json()["data"]) == 45
