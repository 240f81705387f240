"""The sale that `freehold demo flash-sale` shows: one zone, many buyers, and what the books must say in the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
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

VISITORS = "systems.booking_rush.flash_sale:buyers"
OPEN = ("reserved", "confirmed")
MOST_SEATS = 4
"""That one buyer asks for; each asks for 1 to so many."""

Sale = Mapping[str, Any]
Script = Generator[tuple[str, str, str, Any, Mapping[str, str]], tuple[int, Any], None]


# --- before -----------------------------------------------------------------------------------------------------------


async def prepare(works: Mapping[str, Work], seats: int) -> Sale:
    """A new event with one show of one zone, on sale."""
    now, made = works["ticket"].now(), DataSet()
    organizer = demo_id("user", "flash-sale-organizer@test.com")
    made.tenants = [tenant(DEFAULT_TENANT, "Booking Rush", "default", now)]
    made.users = [
        person(organizer, "flash-sale-organizer@test.com", "Fay Flash", "organizer", password_hash="-", now=now)  # noqa: S106 - nobody logs in
    ]
    id = uuid7(now)
    made.events = [event(id, "Flash Sale", f"flash-sale-{id.hex[-12:]}", now, organizer, venue_name="Load Arena")]
    made.shows = [show(uuid7(now), id, now + timedelta(days=30), "on_sale", now)]
    made.zones = [zone(uuid7(now), made.shows[0], 0, seats, now)]
    await store(works, made, lambda *_: None)
    return {
        "event_id": str(id),
        "show_id": str(made.shows[0]["id"]),
        "zone_id": str(made.zones[0]["id"]),
        "seats": seats,
    }


def people(number: int) -> Sequence[User]:
    """Customers of the default tenant."""
    return [User(uuid4(), roles=frozenset({"customer"}), tenant_id=DEFAULT_TENANT) for _ in range(number)]


# --- what a buyer does ------------------------------------------------------------------------------------------------


def buyers(sale: Sale, tokens: Sequence[str], pay: float) -> Iterator[Script]:
    """A script for each token; of those granted, the share `pay` pays."""
    for number, token in enumerate(tokens):
        pays = int((number + 1) * pay) > int(number * pay)
        yield _buy(sale, token, 1 + number % MOST_SEATS, pays=pays)


def _buy(sale: Sale, token: str, quantity: int, *, pays: bool) -> Script:
    wish = {**{name: sale[name] for name in ("event_id", "show_id", "zone_id")}, "quantity": quantity}
    status, answer = yield "reserve", "POST", "/api/v1/bookings/reserve", wish, _headers(token)
    if status != 201 or not pays:
        return
    payment = {
        "booking_id": answer["booking_id"],
        "amount": answer["total_price"],
        "currency": "THB",
        "method": "credit_card",
    }
    yield "pay", "POST", "/api/v1/payments?auto_process=true", payment, _headers(token)


def _headers(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}", "X-Idempotency-Key": uuid4().hex}


# --- the books --------------------------------------------------------------------------------------------------------


async def count(books: Any, sale: Sale) -> Mapping[str, int]:
    """Seats and bookings as booking's database has them now."""
    zone_id = UUID(sale["zone_id"])
    async with books.work("booking").transaction(readonly=True) as tx:
        rows = await tx.execute(
            select(Booking.status, func.count(), func.sum(Booking.quantity))
            .where(Booking.zone_id == zone_id, Booking.status.in_(OPEN))
            .group_by(Booking.status)
        )
        found = {status: (bookings, int(seats)) for status, bookings, seats in rows}
    held, sold = found.get("reserved", (0, 0)), found.get("confirmed", (0, 0))
    return {
        "holds": held[0],
        "sold": sold[0],
        "seats_taken": held[1] + sold[1],
        "oversold": max(0, held[1] + sold[1] - sale["seats"]),
    }


async def reconcile(books: Any, sale: Sale, report: Any) -> tuple[list[str], str]:
    """Booking's count and bookings, ticket's count, payment's payments, and the events, against each other."""
    event_id, zone_id = UUID(sale["event_id"]), UUID(sale["zone_id"])
    async with books.work("booking").transaction(readonly=True) as tx:
        bookings = list(await tx.scalars(select(Booking).where(Booking.event_id == event_id)))
        counted = await tx.get(ZoneInventory, zone_id)
    async with books.work("ticket").transaction(readonly=True) as tx:
        listed = await tx.get(Zone, zone_id)
    payments = await _payments([booking.id for booking in bookings], books.work("payment"))
    events = Counter(e.booking_id for e in await books.published(BookingReserved) if e.event_id == event_id)

    seats: Counter[str] = Counter()
    for booking in bookings:
        seats[booking.status] += booking.quantity
    taken = seats["reserved"] + seats["confirmed"]
    granted = report.answers.get("reserve", {}).get(201, 0)
    missing = [
        f"{what}: {one} and {other}"
        for what, one, other in (
            ("buyers granted and bookings differ", granted, len(bookings)),
            ("booking's counter and the sum of its bookings differ", 0 if counted is None else counted.taken, taken),
            (
                "ticket's and booking's seats held differ",
                0 if listed is None else listed.reserved_seats,
                seats["reserved"],
            ),
            (
                "ticket's and booking's seats sold differ",
                0 if listed is None else listed.sold_seats,
                seats["confirmed"],
            ),
            (
                "ticket's seats left and those not taken differ",
                listed and listed.available_seats,
                sale["seats"] - taken,
            ),
        )
        if one != other
    ]
    if taken > sale["seats"]:
        missing.append(f"{taken - sale['seats']} seats are oversold")
    missing += _per_booking(bookings, payments, events)
    total = sum((booking.total_amount for booking in bookings), Decimal(0))
    return missing, (
        f"{taken:,} of {sale['seats']:,} seats taken in {len(bookings):,} bookings, "
        f"{sum(map(len, payments.values())):,} payments of {total:,} THB, {events.total():,} booking.reserved events"
    )


async def _payments(booking_ids: Sequence[UUID], work: Work) -> dict[UUID, list[Decimal]]:
    found: dict[UUID, list[Decimal]] = defaultdict(list)
    async with work.transaction(readonly=True) as tx:
        for start in range(0, len(booking_ids), 500):
            some = booking_ids[start : start + 500]
            rows = await tx.execute(select(Payment.booking_id, Payment.amount).where(Payment.booking_id.in_(some)))
            for booking_id, amount in rows:
                found[booking_id].append(amount)
    return found


def _per_booking(
    bookings: Sequence[Booking], payments: Mapping[UUID, list[Decimal]], events: Mapping[UUID, int]
) -> list[str]:
    missing = []
    without = sum(1 for booking in bookings if len(payments.get(booking.id, ())) != 1)
    if without:
        missing.append(f"{without} bookings do not have one payment each")
    wrong = sum(
        (abs(booking.total_amount - sum(payments[booking.id])) for booking in bookings if booking.id in payments),
        Decimal(0),
    )
    if wrong:
        missing.append(f"payments are {wrong} THB off their bookings")
    untold = sum(1 for booking in bookings if events.get(booking.id, 0) != 1)
    if untold or len(events) != len(bookings):
        missing.append(f"{untold} bookings do not have one booking.reserved each; {len(events)} were told")
    holders: Counter[UUID] = Counter()
    for booking in bookings:
        if booking.status in OPEN:
            holders[booking.user_id] += booking.quantity
    if greedy := sum(1 for seats in holders.values() if seats > MOST_SEATS):
        missing.append(f"{greedy} buyers hold more seats than they asked for")
    return missing
