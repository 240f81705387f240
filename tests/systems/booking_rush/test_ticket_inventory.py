"""How ticket's seats follow the bookings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from freehold.model.envelope import Envelope
from freehold.model.ids import uuid7
from systems.booking_rush.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingFact,
    BookingReserved,
)
from systems.booking_rush.ticket.contract import (
    GetZoneForSale,
    ListZoneSeats,
    ShowUpdated,
    ZoneInventoryUpdated,
    ZoneSoldOut,
)
from systems.booking_rush.ticket.queries import get_zone_for_sale, list_zone_seats
from systems.booking_rush.ticket.tables import Show, Zone
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import HOME, Catalogue, open_world

F = TypeVar("F", bound=BookingFact)


@pytest.fixture
async def app(databases: Databases) -> AsyncIterator[Catalogue]:
    async with open_world(databases) as opened:
        yield opened


@pytest.fixture
async def event(app: Catalogue) -> dict[str, Any]:
    return await app.event(await app.person("organizer"), seats=(10,))


def fact(kind: type[F], event: dict[str, Any], quantity: int, booking_id: UUID | None = None, **more: Any) -> F:
    """An event of a booking, as booking publishes it."""
    at = "2030-01-01T12:00:00Z"
    status = {BookingReserved: "reserved", BookingConfirmed: "confirmed", BookingExpired: "expired"}
    return kind.model_validate(
        {
            "booking_id": booking_id or uuid4(), "tenant_id": HOME, "user_id": uuid4(), "event_id": event["id"],
            "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"], "event_name": "Rush",
            "show_date": "2030-03-01", "show_time": "19:30:00+07:00", "zone_name": "Zone 1", "venue_name": None,
            "quantity": quantity, "unit_price": "3000.00", "total_amount": f"{3000 * quantity}.00", "currency": "THB",
            "status": status.get(kind, "cancelled"), "reserved_at": at, "reservation_expires_at": at,
            "confirmed_at": at, "confirmation_code": "BK-ABCDEF", "payment_id": uuid4(), "previous_status": "reserved",
            "status_reason": "", "cancelled_by": None, "cancelled_at": at, "expired_at": at,
        }
        | more
    )  # fmt: skip


async def deliver(app: Catalogue, *facts: BookingFact) -> None:
    """All at once, so that they may share a batch."""
    group = app.world.process.units["ticket"].group
    futures = [
        group.deliver(
            Envelope(
                uuid7(), f.__message__.name, 1, "booking", f.__message__.topic, f.key, app.world.clock.now(),
                f.model_dump_json(),
            )
        )
        for f in facts
    ]  # fmt: skip
    for future in futures:
        await future
    await app.world.settle()


async def seats(app: Catalogue) -> tuple[tuple[int, int, int], tuple[int, int], str]:
    """(available, reserved, sold) of the zone, (reserved, sold) of the show, and the show's status."""
    async with app.world.work("ticket").transaction(readonly=True) as tx:
        zone, show = (await tx.scalars(select(Zone))).one(), (await tx.scalars(select(Show))).one()
    return (
        (zone.available_seats, zone.reserved_seats, zone.sold_seats),
        (show.reserved_count, show.sold_count),
        show.status,
    )


async def test_each_booking_event_moves_its_seats(app: Catalogue, event: dict[str, Any]) -> None:
    await deliver(app, fact(BookingReserved, event, 3))
    assert await seats(app) == ((7, 3, 0), (3, 0), "on_sale")
    await deliver(app, fact(BookingConfirmed, event, 3))
    assert await seats(app) == ((7, 0, 3), (0, 3), "on_sale")
    await deliver(app, fact(BookingCancelled, event, 3, previous_status="confirmed"))
    assert await seats(app) == ((10, 0, 0), (0, 0), "on_sale")
    await deliver(app, fact(BookingReserved, event, 4), fact(BookingReserved, event, 2))
    await deliver(app, fact(BookingCancelled, event, 4), fact(BookingExpired, event, 2))
    assert await seats(app) == ((10, 0, 0), (0, 0), "on_sale")
    told = (await app.world.published(ZoneInventoryUpdated))[-1]
    assert (told.available_seats, told.reserved_seats, told.sold_seats, told.capacity_change) == (10, 0, 0, 0)


async def test_the_last_seat_sells_the_show_out_and_a_returned_one_reopens_it(
    app: Catalogue, event: dict[str, Any]
) -> None:
    await deliver(app, fact(BookingReserved, event, 10))
    assert (await seats(app))[2] == "sold_out"
    await deliver(app, fact(BookingExpired, event, 1))
    assert (await seats(app))[2] == "on_sale"
    (sold_out,) = await app.world.published(ZoneSoldOut)
    assert (sold_out.total_seats, sold_out.reserved_seats) == (10, 10)
    changes = [(e.previous_status, e.status) for e in await app.world.published(ShowUpdated)]
    assert changes[-2:] == [("on_sale", "sold_out"), ("sold_out", "on_sale")]


async def test_a_repeated_event_moves_them_once(app: Catalogue, event: dict[str, Any]) -> None:
    await app.world.deliver("ticket", fact(BookingReserved, event, 3), times=3)
    assert (await seats(app))[0] == (7, 3, 0)


async def test_a_batch_takes_events_in_any_order(app: Catalogue, event: dict[str, Any]) -> None:
    booking_id = uuid4()
    await deliver(app, fact(BookingConfirmed, event, 2, booking_id), fact(BookingReserved, event, 2, booking_id))
    assert (await seats(app))[0] == (8, 0, 2)


async def test_what_breaks_a_check_is_put_aside_alone_and_passes_when_it_can(
    app: Catalogue, event: dict[str, Any]
) -> None:
    await deliver(app, fact(BookingReserved, event, 10))
    # A hold of seats whose return has not arrived yet, among others that can be counted.
    early = fact(BookingReserved, event, 4)
    await deliver(app, fact(BookingConfirmed, event, 2), early, fact(BookingConfirmed, event, 1))
    assert (await seats(app))[0] == (0, 7, 3)
    await deliver(app, fact(BookingExpired, event, 4))
    assert (await seats(app))[0] == (4, 3, 3), "nothing was clamped"
    await app.world.advance(seconds=2)
    assert (await seats(app))[0] == (0, 7, 3)


async def test_what_breaks_a_check_for_a_minute_is_dead_but_kept(app: Catalogue, event: dict[str, Any]) -> None:
    early = fact(BookingConfirmed, event, 1)
    await deliver(app, early)
    unit = app.world.process.units["ticket"]
    for second in range(90):
        if second == 40:
            assert await unit.dead_letters.list() == [], "it has a minute"
        await app.world.advance(seconds=1)
    (dead,) = await unit.dead_letters.list()
    assert (dead.event_type, dead.consumer_name) == ("booking.confirmed", "seat_counts")
    assert (await seats(app))[0] == (10, 0, 0)


async def test_siblings_read_zones_whatever_the_tenant(app: Catalogue, event: dict[str, Any]) -> None:
    zone_id = UUID(event["zones"][0]["id"])
    async with app.world.work("ticket").transaction(readonly=True) as tx:
        zone = await get_zone_for_sale(GetZoneForSale(zone_id=zone_id), tx)
        page = await list_zone_seats(ListZoneSeats(limit=1), tx)
    assert (zone.zone_name, str(zone.price), zone.show_status) == ("Zone 1", "3000.00", "on_sale")
    assert (zone.event_name, zone.event_status, zone.tenant_active) == ("Rush", "published", True)
    assert [row.zone_id for row in page.data] == [zone_id]
    async with app.world.work("ticket").transaction(readonly=True) as tx:
        assert (await list_zone_seats(ListZoneSeats(cursor=page.next_cursor), tx)).data == []
