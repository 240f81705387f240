"""Demo data and the load set: `freehold load booking_rush demo`, `freehold load booking_rush load`.

Rows are inserted in bulk into each service's own database, and only those that are missing, so that loading again
changes nothing. Copies in other services come about as always: from the events that are published with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import InstrumentedAttribute

from freehold import Event as Fact
from freehold import Passwords, Tx, Work
from systems.booking_rush.auth import facts as auth_facts
from systems.booking_rush.auth.tables import Account, Tenant
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.demo_rows import (
    DEFAULT_TENANT,
    DataSet,
    Row,
    add_bookings,
    chunks,
    demo_catalogue,
    demo_id,
    demo_people,
    load_catalogue,
    person,
    tenant,
)
from systems.booking_rush.notification.tables import SalesFact
from systems.booking_rush.payment.gateway import PaymentGateway, smallest_unit
from systems.booking_rush.payment.simulated import SimulatedGateway
from systems.booking_rush.payment.tables import Payment
from systems.booking_rush.ticket import facts as ticket_facts
from systems.booking_rush.ticket.tables import Category, Event, Show, Zone

PASSWORD = "Test123!"  # noqa: S105 - of people who do not exist, told in the specification
SEED = 20_300_101
AT_ONCE = 500

Progress = Callable[[str, int, int], None]
Tell = Callable[[Sequence[Row]], Sequence[Fact]]


async def load(works: Mapping[str, Work], which: Literal["demo", "load"], progress: Progress) -> None:
    """Load a data set.

    Args:
        works: each service's unit of work, by the service's name.
        which: `demo` or `load`.
        progress: told the table, how many rows are in, and how many there will be.
    """
    await (demo(works, progress) if which == "demo" else load_set(works, progress))


async def demo(works: Mapping[str, Work], progress: Progress, *, bookings: int = 5000) -> None:
    """Two tenants, their people, a catalogue of 30 events, and sixty days of bookings."""
    now, random = works["auth"].now(), Random(SEED)
    made = demo_catalogue(now, random)
    if await _has(works["ticket"], Zone.id, made.zones[-1]["id"]):
        return  # zones are stored last
    made.tenants, made.users = demo_people(await works["auth"].use(Passwords).hash(PASSWORD), now)
    buyers = [row["id"] for row in made.users if row["role"] == "customer" and row["tenant_id"] == DEFAULT_TENANT]
    add_bookings(made, bookings, buyers, now, random)
    await store(works, made, progress)


async def load_set(works: Mapping[str, Work], progress: Progress, *, users: int = 10_000, seats: int = 20_000) -> None:
    """Users `loadtest1@test.com` … and 45 zones on sale with so many `seats` each."""
    now = works["auth"].now()
    known: dict[str, Any] = {"password_hash": await works["auth"].use(Passwords).hash(PASSWORD), "now": now}
    organizer = demo_id("user", "loadtest-organizer@test.com")
    made = load_catalogue(seats, now, organizer)
    made.tenants = [tenant(DEFAULT_TENANT, "Booking Rush", "default", now)]
    made.users = [person(organizer, "loadtest-organizer@test.com", "Load Tester", "organizer", **known)]
    for number in range(1, users + 1):
        id = UUID(f"a0000000-0000-0000-0000-{number:012d}")
        made.users.append(person(id, f"loadtest{number}@test.com", f"Load Test {number}", "customer", **known))
    await store(works, made, progress)


async def _has(work: Work, key: InstrumentedAttribute[UUID], id: UUID) -> bool:
    async with work.transaction(readonly=True) as tx:
        return await tx.scalar(select(key).where(key == id)) is not None


async def store(works: Mapping[str, Work], made: DataSet, progress: Progress) -> None:
    """Insert what is missing: the bookings first, before the catalogue's events make others count its seats."""
    auth, ticket, booking, payment = (works[name] for name in ("auth", "ticket", "booking", "payment"))
    tell_shows, tell_zones = _tellers(made)
    _tell_gateway(payment, made.payments)
    if "notification" in works:
        await _insert_missing(works["notification"], SalesFact.booking_id, list(made.sales()), _nothing, progress)
    for work, key, rows, tell in (
        (payment, Payment.id, made.payments, _nothing),
        (booking, Booking.id, made.bookings, _nothing),
        (booking, ZoneInventory.zone_id, list(made.counts()), _nothing),
        (auth, Tenant.id, made.tenants, _tell_tenants),
        (auth, Account.id, made.users, _tell_users),
        (ticket, Category.id, made.categories, _nothing),
        (ticket, Event.id, made.events, _tell_events),
        (ticket, Show.id, made.shows, tell_shows),
        (ticket, Zone.id, made.zones, tell_zones),
    ):
        await _insert_missing(work, key, rows, tell, progress)


async def _insert_missing(
    work: Work, key: InstrumentedAttribute[UUID], rows: Sequence[Row], tell: Tell, progress: Progress
) -> None:
    table, done = key.class_, 0
    for chunk in chunks(rows, AT_ONCE):

        async def insert_new(tx: Tx, chunk: list[Row] = chunk) -> None:
            known = set(await tx.scalars(select(key).where(key.in_([row[key.key] for row in chunk]))))
            new = [row for row in chunk if row[key.key] not in known]
            if new:
                # One statement for all, although they leave different columns empty.
                await tx.execute(insert(table).execution_options(render_nulls=True), new)
                tx.publish(*tell(new))

        await work.run(insert_new)
        done += len(chunk)
        progress(table.__tablename__, done, len(rows))


def _tell_gateway(payment: Work, payments: Sequence[Row]) -> None:
    """What the simulated gateway never charged it could not give back."""
    gateway = payment.use(PaymentGateway)  # type: ignore[type-abstract]  # the provided one
    if isinstance(gateway, SimulatedGateway):
        paid = (row for row in payments if row["gateway"] == gateway.name)
        gateway.remember(
            (row["id"], smallest_unit(row["amount"]), smallest_unit(row["refund_amount"] or Decimal(0))) for row in paid
        )


# --- what the new rows make known -------------------------------------------------------------------------------------


def _nothing(_: Sequence[Row]) -> list[Fact]:
    return []


def _tell_tenants(rows: Sequence[Row]) -> list[Fact]:
    return [auth_facts.tenant_created(Tenant(**row)) for row in rows]


def _tell_users(rows: Sequence[Row]) -> list[Fact]:
    return [auth_facts.user_created(Account(**row)) for row in rows]


def _tell_events(rows: Sequence[Row]) -> list[Fact]:
    events = [Event(**row) for row in rows]
    created: list[Fact] = [ticket_facts.event_created(event) for event in events]
    published = [
        ticket_facts.event_published(event, row["published_at"]) for event, row in zip(events, rows, strict=True)
    ]
    over = [ticket_facts.event_updated(event, ["status"]) for event in events if event.status == "completed"]
    return [*created, *published, *over]


def _tellers(made: DataSet) -> tuple[Tell, Tell]:
    """Those of shows and zones, which tell of their event too."""
    events = {row["id"]: Event(**row) for row in made.events}
    shows = {row["id"]: Show(**row) for row in made.shows}

    def tell_shows(rows: Sequence[Row]) -> list[Fact]:
        told: list[Fact] = []
        for show in (shows[row["id"]] for row in rows):
            event = events[show.event_id]
            told += [ticket_facts.show_created(show, event), ticket_facts.show_updated(show, event, "scheduled")]
        return told

    def tell_zones(rows: Sequence[Row]) -> list[Fact]:
        zones = [Zone(**row) for row in rows]
        return [
            ticket_facts.zone_inventory(
                zone, shows[zone.show_id], events[shows[zone.show_id].event_id], "zone.created", zone.total_seats
            )
            for zone in zones
        ]

    return tell_shows, tell_zones
