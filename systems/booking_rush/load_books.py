"""What is put up for sale under load, and what every database must say of it afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select

from freehold import User, Work, uuid7
from systems.booking_rush.booking.contract import BookingReserved
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.demo import store
from systems.booking_rush.demo_rows import DEFAULT_TENANT, DataSet, demo_id, event, person, show, tenant, zone
from systems.booking_rush.payment.tables import Payment
from systems.booking_rush.ticket.tables import Zone

OPEN = ("reserved", "confirmed")
AT_ONCE = 500
ForSale = Mapping[str, Any]
"""A zone: `event_id`, `show_id`, `zone_id` and `seats`."""


async def put_up(works: Mapping[str, Work], seats: int, *, name: str, events: int, shows: int, zones: int) -> list[Any]:
    """New events, each with so many shows of so many zones on sale; every zone as `ForSale`."""
    now, made = works["ticket"].now(), DataSet()
    organizer = demo_id("user", "flash-sale-organizer@test.com")
    made.tenants = [tenant(DEFAULT_TENANT, "Booking Rush", "default", now)]
    made.users = [
        person(organizer, "flash-sale-organizer@test.com", "Fay Flash", "organizer", password_hash="-", now=now)  # noqa: S106 - nobody logs in
    ]
    for _ in range(events):
        id = uuid7(now)
        made.events.append(event(id, name, f"flash-sale-{id.hex[-12:]}", now, organizer, venue_name="Load Arena"))
        for evening in range(shows):
            its_show = show(uuid7(now), id, now + timedelta(days=30 + evening), "on_sale", now)
            made.shows.append(its_show)
            made.zones += [zone(uuid7(now), its_show, block, seats, now) for block in range(zones)]
    await store(works, made, lambda *_: None)
    events_of = {row["id"]: row["event_id"] for row in made.shows}
    return [
        {
            "event_id": str(events_of[row["show_id"]]),
            "show_id": str(row["show_id"]),
            "zone_id": str(row["id"]),
            "seats": seats,
        }
        for row in made.zones
    ]


def people(number: int) -> Sequence[User]:
    """Customers of the default tenant."""
    return [User(uuid4(), roles=frozenset({"customer"}), tenant_id=DEFAULT_TENANT) for _ in range(number)]


async def count(books: Any, zones: Sequence[ForSale]) -> Mapping[str, int]:
    """Seats and bookings as booking's database has them now."""
    seats = {UUID(each["zone_id"]): each["seats"] for each in zones}
    async with books.work("booking").transaction(readonly=True) as tx:
        rows = await tx.execute(
            select(Booking.zone_id, Booking.status, func.count(), func.sum(Booking.quantity))
            .where(Booking.zone_id.in_(seats), Booking.status.in_(OPEN))
            .group_by(Booking.zone_id, Booking.status)
        )
        bookings: Counter[str] = Counter()
        taken: Counter[UUID] = Counter()
        for zone_id, status, number, quantity in rows:
            bookings[status] += number
            taken[zone_id] += int(quantity)
    return {
        "holds": bookings["reserved"],
        "sold": bookings["confirmed"],
        "seats_taken": taken.total(),
        "oversold": sum(max(0, number - seats[zone_id]) for zone_id, number in taken.items()),
    }


async def reconcile(
    books: Any, zones: Sequence[ForSale], *, granted: int, unheard: int = 0, most: int
) -> tuple[list[str], str]:
    """Booking's counts and bookings, ticket's counts, payment's payments, and the events, against each other.

    Args:
        granted: buyers who were told that they have seats.
        unheard: those who did not wait for the answer.
        most: tickets that one buyer may have of an event.

    Returns: what is missing, and what there is, in words.
    """
    events, on_sale = {UUID(each["event_id"]) for each in zones}, {UUID(each["zone_id"]): each for each in zones}
    async with books.work("booking").transaction(readonly=True) as tx:
        bookings = list(await tx.scalars(select(Booking).where(Booking.event_id.in_(events))))
        counted = list(await tx.scalars(select(ZoneInventory).where(ZoneInventory.zone_id.in_(on_sale))))
    async with books.work("ticket").transaction(readonly=True) as tx:
        listed = list(await tx.scalars(select(Zone).where(Zone.id.in_(on_sale))))
    payments = await _payments([booking.id for booking in bookings], books.work("payment"))
    told = Counter(e.booking_id for e in await books.published(BookingReserved) if e.event_id in events)

    missing = []
    if not granted <= len(bookings) <= granted + unheard:
        missing.append(f"buyers granted and bookings differ: {granted} and {len(bookings)}")
    missing += _per_zone(bookings, on_sale, counted, listed)
    missing += _per_booking(bookings, payments, told, most)
    taken = sum(booking.quantity for booking in bookings if booking.status in OPEN)
    total = sum((booking.total_amount for booking in bookings), Decimal(0))
    return missing, (
        f"{taken:,} of {sum(each['seats'] for each in zones):,} seats taken in {len(bookings):,} bookings, "
        f"{sum(map(len, payments.values())):,} payments of {total:,} THB, {told.total():,} booking.reserved events"
    )


def _per_zone(
    bookings: Collection[Booking],
    on_sale: Mapping[UUID, ForSale],
    counted: Collection[ZoneInventory],
    listed: Collection[Zone],
) -> list[str]:
    held: Counter[UUID] = Counter()
    sold: Counter[UUID] = Counter()
    for booking in bookings:
        if booking.status in OPEN:
            (held if booking.status == "reserved" else sold)[booking.zone_id] += booking.quantity
    inventory, zones = {row.zone_id: row.taken for row in counted}, {row.id: row for row in listed}
    missing = []
    for zone_id, each in on_sale.items():
        taken, zone = held[zone_id] + sold[zone_id], zones[zone_id]
        missing += [
            f"{what}: {one} and {other}"
            for what, one, other in (
                ("booking's counter and the sum of its bookings differ", inventory.get(zone_id, 0), taken),
                ("ticket's and booking's seats held differ", zone.reserved_seats, held[zone_id]),
                ("ticket's and booking's seats sold differ", zone.sold_seats, sold[zone_id]),
                ("ticket's seats left and those not taken differ", zone.available_seats, each["seats"] - taken),
            )
            if one != other
        ]
        if taken > each["seats"]:
            missing.append(f"{taken - each['seats']} seats are oversold")
    return missing


async def _payments(booking_ids: Sequence[UUID], work: Work) -> dict[UUID, list[Decimal]]:
    found: dict[UUID, list[Decimal]] = defaultdict(list)
    async with work.transaction(readonly=True) as tx:
        for start in range(0, len(booking_ids), AT_ONCE):
            some = booking_ids[start : start + AT_ONCE]
            rows = await tx.execute(select(Payment.booking_id, Payment.amount).where(Payment.booking_id.in_(some)))
            for booking_id, amount in rows:
                found[booking_id].append(amount)
    return found


def _per_booking(
    bookings: Sequence[Booking], payments: Mapping[UUID, list[Decimal]], told: Counter[UUID], most: int
) -> list[str]:
    missing = []
    if without := sum(1 for booking in bookings if len(payments.get(booking.id, ())) != 1):
        missing.append(f"{without} bookings do not have one payment each")
    wrong = sum(
        (abs(booking.total_amount - sum(payments[booking.id])) for booking in bookings if booking.id in payments),
        Decimal(0),
    )
    if wrong:
        missing.append(f"payments are {wrong} THB off their bookings")
    untold = sum(1 for booking in bookings if told[booking.id] != 1)
    if untold or told.total() != len(bookings):
        missing.append(f"{untold} bookings do not have one booking.reserved each; {told.total()} were told")
    keys = Counter(booking.idempotency_key for booking in bookings)
    if doubled := sum(1 for times in keys.values() if times > 1):
        missing.append(f"{doubled} keys made more than one booking")
    holders: Counter[tuple[UUID, UUID]] = Counter()
    for booking in bookings:
        if booking.status in OPEN:
            holders[booking.user_id, booking.event_id] += booking.quantity
    if greedy := sum(1 for seats in holders.values() if seats > most):
        missing.append(f"{greedy} buyers hold more seats than they may")
    return missing
