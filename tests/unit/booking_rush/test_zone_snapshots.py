"""The copies of ticket's zones, with a ticket that answers when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from freehold import Cache, Problem, Unavailable
from freehold.stores.cache import MemoryCache
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.snapshots import ZoneSnapshots
from systems.booking_rush.ticket.contract import ZoneForSale, ZoneInventoryUpdated
from tests.unit.booking_rush.zones import NOW, ZONE, zone


class Ticket:
    """Stands where a Work does: its `ask` waits for `answer`."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[ZoneForSale]] = []
        self.time = NOW
        self.came = asyncio.Event()

    def now(self) -> datetime:
        return self.time

    def as_service(self) -> Ticket:
        return self

    async def ask(self, query: Any) -> ZoneForSale:
        self.asked.append(asyncio.get_running_loop().create_future())
        self.came.set()
        return await self.asked[-1]


def updated(of: ZoneForSale, **changed: Any) -> ZoneInventoryUpdated:
    known: dict[str, Any] = {
        "zone_id": of.zone_id, "show_id": of.show_id, "event_id": of.event_id, "tenant_id": of.tenant_id,
        "name": of.zone_name, "price": of.price, "currency": of.currency, "total_seats": of.total_seats,
        "available_seats": 5, "reserved_seats": 95, "sold_seats": 0, "min_per_order": of.min_per_order,
        "max_per_order": of.max_per_order, "is_active": True, "on_sale": True, "capacity_change": 0, "cause": "",
        "updated_at": NOW,
    }  # fmt: skip
    return ZoneInventoryUpdated.model_validate(known | changed)


Get = Callable[[], "asyncio.Task[ZoneForSale]"]


@pytest.fixture
def ticket() -> Ticket:
    return Ticket()


@pytest.fixture
def cache() -> Cache:
    return MemoryCache()


@pytest.fixture
def snapshots(cache: Cache) -> ZoneSnapshots:
    return ZoneSnapshots(BookingSettings(), cache)


@pytest.fixture
def get(snapshots: ZoneSnapshots, ticket: Ticket) -> Get:
    return lambda: asyncio.create_task(snapshots.get(ZONE, ticket))  # type: ignore[arg-type]  # all that it uses


async def reached(ticket: Ticket, times: int) -> None:
    async with asyncio.timeout(5):
        while len(ticket.asked) < times:
            ticket.came.clear()
            await ticket.came.wait()


async def test_many_who_miss_a_zone_ask_once_and_a_fresh_copy_asks_nobody(get: Get, ticket: Ticket) -> None:
    waiting = [get() for _ in range(3)]
    await reached(ticket, 1)
    waiting[0].cancel()
    ticket.asked[0].set_result(zone())
    assert {(await one).zone_id for one in waiting[1:]} == {ZONE}
    ticket.time += timedelta(seconds=5)
    await get()
    assert len(ticket.asked) == 1
    ticket.time += timedelta(seconds=0.1)
    again = get()
    await reached(ticket, 2)
    again.cancel()


async def test_an_old_copy_serves_while_ticket_is_away_but_not_for_ever(get: Get, ticket: Ticket) -> None:
    first = get()
    await reached(ticket, 1)
    ticket.asked[0].set_result(zone())
    await first
    for age, usable in ((60, True), (61, False)):
        ticket.time = NOW + timedelta(seconds=age)
        later = get()
        await reached(ticket, len(ticket.asked) + 1)
        ticket.asked[-1].set_exception(Unavailable("away"))
        if usable:
            assert (await later).zone_id == ZONE
        else:
            with pytest.raises(Problem, match="503"):
                await later


@pytest.mark.parametrize(
    ("changed", "forgotten"),
    [
        ({}, False),
        ({"available_seats": 0}, False),
        ({"price": Decimal("3000.01")}, True),
        ({"max_per_order": 4}, True),
        ({"is_active": False, "on_sale": False}, True),
        ({"on_sale": False}, True),
        ({"name": "Golden"}, True),
        ({"zone_id": uuid4(), "price": Decimal("1.00")}, False),
    ],
)
async def test_a_zone_that_is_sold_on_other_terms_is_asked_for_anew(
    snapshots: ZoneSnapshots, get: Get, ticket: Ticket, changed: dict[str, Any], forgotten: bool
) -> None:
    first = get()
    await reached(ticket, 1)
    ticket.asked[0].set_result(zone())
    known = await first
    snapshots.heed(updated(known, **changed))
    second = get()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(ticket.asked) == (2 if forgotten else 1)
    second.cancel()


async def test_an_answer_that_was_on_its_way_when_the_terms_changed_is_not_kept(
    snapshots: ZoneSnapshots, get: Get, ticket: Ticket
) -> None:
    first = get()
    await reached(ticket, 1)
    snapshots.heed(updated(zone(), price=Decimal("1.00")))
    ticket.asked[0].set_result(zone())
    await first
    second = get()
    await reached(ticket, 2)
    ticket.asked[1].set_result(zone(price=Decimal("1.00")))
    assert (await second).price == 1
    assert (await get()).price == 1


@pytest.mark.parametrize(
    ("seconds", "heard", "usable"), [(60, {}, True), (61, {}, False), (1, {"price": Decimal("1.00")}, False)]
)
async def test_a_process_without_a_copy_uses_anothers_while_ticket_is_away(
    snapshots: ZoneSnapshots, get: Get, ticket: Ticket, cache: Cache, seconds: int, heard: dict[str, Any], usable: bool
) -> None:
    first = get()
    await reached(ticket, 1)
    ticket.asked[0].set_result(zone())
    known = await first
    third = ZoneSnapshots(BookingSettings(), cache)
    if heard:
        third.heed(updated(known, **heard))
        async with asyncio.timeout(5):
            while await cache.get(f"zone:{ZONE}") is not None:
                await asyncio.sleep(0)
    ticket.time += timedelta(seconds=seconds)
    other = asyncio.create_task(ZoneSnapshots(BookingSettings(), cache).get(ZONE, ticket))  # type: ignore[arg-type]
    await reached(ticket, 2)
    ticket.asked[1].set_exception(Unavailable("away"))
    if usable:
        assert await other == known
    else:
        with pytest.raises(Problem, match="503"):
            await other
