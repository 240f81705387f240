"""The demo data: whole, loaded once, and in keeping with every check that must hold across the services."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from freehold.model.errors import ConfigurationError
from freehold.observe.metrics import METRICS
from freehold.testing import World
from systems.petpro import demo
from systems.petpro.auth.tables import Account, Permission, Role, UserRole
from systems.petpro.booking.money_tables import FinancialEntry, Payment
from systems.petpro.booking.tables import (
    Booking,
    ClinicRef,
    ClinicService,
    OfferingRef,
    PetRef,
    Reservation,
    Review,
    Slot,
)
from systems.petpro.booking.tables import UserRef as BookingUserRef
from systems.petpro.clinic.rules import distribution_of, mean_rating
from systems.petpro.clinic.tables import Appointment, Clinic, Document, Offering, Rating, StaffMember
from systems.petpro.inventory.rules import level_of
from systems.petpro.inventory.tables import Category, OrderHold, Product, Stock, StockMovement
from systems.petpro.pet.tables import Breed, MedicalRecord, Pet, Species, Vaccination
from systems.petpro.vendor.order_tables import Order, OrderItem, OrderPayment, Payout
from systems.petpro.vendor.tables import Listing, Vendor
from systems.petpro.views.tables import AvailabilityRow, PerformanceRow, UserBookingRow, ViewState
from tests.systems.petpro.stage import FAST, AuthSettings, Stage, stage_mark, system

pytestmark = stage_mark


def works(world: World) -> dict[str, Any]:
    return {service.name: world.work(service.name) for service in system.services}


def silent(what: str, done: int, of: int) -> None:
    assert 0 < done <= of, what


def interrupted(what: str, done: int, of: int) -> None:
    if what == "reservations":
        raise InterruptedError


def drifts() -> list[str]:
    """What reconciliations have found so far, in this process."""
    return [line for line in METRICS.render().decode().splitlines() if line.startswith("reconciliation_drift_total")]


class Demo(Stage):
    """The running system with the demo; `drifts_before` are those from before it was loaded."""

    drifts_before: list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loaded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """The demo, whose load was cut short once."""
    async with World(system, given={AuthSettings: FAST}, folder=tmp_path_factory.mktemp("demo")) as world:
        stage = Demo(world)
        stage.drifts_before = drifts()
        with pytest.raises(InterruptedError):
            await demo.load(works(world), "demo", interrupted)
        await demo.load(works(world), "demo", silent)
        await world.settle()
        await world.run_due()
        yield stage


async def count(stage: Stage, service: str, table: type[Any]) -> int:
    async with stage.world.work(service).transaction(readonly=True) as tx:
        return int(await tx.scalar(select(func.count()).select_from(table)))


async def test_there_is_as_much_of_everything_as_the_specification_says(loaded: Stage) -> None:
    wanted = {
        ("auth", Account): 55, ("auth", Permission): 40, ("auth", Role): 5, ("pet", Species): 7, ("pet", Breed): 25,
        ("pet", Pet): 60, ("pet", MedicalRecord): 90, ("pet", Vaccination): 80, ("clinic", Clinic): 5,
        ("clinic", StaffMember): 12, ("clinic", Document): 10, ("booking", ClinicService): 20, ("booking", Booking): 120,
        ("booking", Review): 45, ("inventory", Category): 19, ("inventory", Product): 80, ("vendor", Vendor): 4,
        ("vendor", Listing): 110, ("vendor", Order): 60, ("vendor", OrderItem): 130, ("vendor", Payout): 6,
    }  # fmt: skip
    assert {key: await count(loaded, *key) for key in wanted} == wanted
    roles = {role.id: role.name for role in await loaded.rows("auth", Role)}
    people = Counter(roles[grant.role_id] for grant in await loaded.rows("auth", UserRole))
    assert people == {"admin": 1, "vendor": 6, "staff": 8, "customer": 40}
    assert Counter(row.status for row in await loaded.rows("clinic", Clinic)) == {"approved": 4, "pending": 1}
    assert Counter(row.status for row in await loaded.rows("vendor", Vendor)) == {"approved": 3, "pending": 1}
    assert Counter(row.status for row in await loaded.rows("booking", Booking)) == {
        "completed": 70, "confirmed": 20, "cancelled": 10, "no_show": 5, "pending_approval": 5, "pending_payment": 10,
    }  # fmt: skip
    assert Counter(row.status for row in await loaded.rows("vendor", Order)) == {
        "delivered": 30, "processing": 9, "shipped": 9, "cancelled": 6, "refunded": 3, "pending": 3,
    }  # fmt: skip
    services = await loaded.rows("booking", ClinicService)
    assert sum(service.requires_approval for service in services) == 3
    assert {service.duration_minutes for service in services} == {30, 45, 60}
    assert len([row for row in await loaded.rows("clinic", Offering) if row.price_override is not None]) == 2
    today = loaded.clock.now().date()
    expiring = [
        row for row in await loaded.rows("pet", Vaccination) if today <= row.expiry_date <= today + timedelta(days=30)
    ]
    assert len(expiring) == 10
    stock = await loaded.rows("inventory", Stock)
    assert len([row for row in stock if row.quantity_available == 0]) == 3
    assert len([row for row in stock if 0 < row.quantity_available <= row.reorder_threshold]) == 6


async def test_seats_payments_and_entries_agree(loaded: Stage) -> None:
    bookings = {row.id: row for row in await loaded.rows("booking", Booking)}
    slots = {row.id: row for row in await loaded.rows("booking", Slot)}
    held = Counter(row.slot_id for row in bookings.values() if row.holds_seat)
    assert {slot.id: slot.booked_count for slot in slots.values() if slot.booked_count} == held
    for slot in slots.values():
        assert slot.status == ("booked" if slot.booked_count == slot.capacity else "available")
    entries: dict[Any, list[FinancialEntry]] = defaultdict(list)
    for entry in await loaded.rows("booking", FinancialEntry):
        entries[entry.booking_id].append(entry)
    payments = {row.booking_id: row for row in await loaded.rows("booking", Payment)}
    reservations = {row.id: row for row in await loaded.rows("booking", Reservation)}
    for booking in bookings.values():
        payment, own = payments[booking.id], entries[booking.id]
        assert (booking.payment_id, payment.amount) == (payment.id, booking.amount)
        fees = [entry for entry in own if entry.type == "booking_fee" and entry.status != "cancelled"]
        if booking.status in ("confirmed", "completed", "no_show"):
            assert (payment.status, len(fees), fees[0].total_amount) == ("success", 1, booking.amount)
            assert reservations[booking.reservation_id].status == "confirmed"
        elif booking.status == "pending_approval":
            assert (payment.status, own) == ("success", [])
        elif booking.status == "pending_payment":
            assert (payment.status, own, reservations[booking.reservation_id].status) == ("pending", [], "pending")
        else:
            assert not booking.holds_seat
            kept = sum((entry.total_amount for entry in own if entry.status != "cancelled"), Decimal(0))
            paid = booking.amount if payment.paid_at else Decimal(0)
            assert kept == paid - payment.refunded_amount
    of_staff: dict[Any, list[Slot]] = defaultdict(list)
    for slot in slots.values():
        if slot.staff_id is not None:
            of_staff[slot.staff_id, slot.slot_date].append(slot)
    for same_day in of_staff.values():
        in_order = sorted(same_day, key=lambda slot: slot.slot_start_time)
        for one, other in pairwise(in_order):
            assert one.slot_end_time <= other.slot_start_time, "somebody is in two places at once"


async def test_ratings_are_those_of_the_reviews(loaded: Stage) -> None:
    stars: dict[Any, Counter[int]] = defaultdict(Counter)
    for review in await loaded.rows("booking", Review):
        stars[review.clinic_id][review.rating] += 1
    averages = []
    for rating in await loaded.rows("clinic", Rating):
        counted = distribution_of(stars[rating.clinic_id].items())
        assert rating.rating_distribution == counted
        assert rating.avg_rating == float(mean_rating(counted))
        averages.append(rating.avg_rating)
    assert sorted(averages) == [0.0, 3.1, 3.8, 4.3, 4.9]


async def test_copies_and_the_calendar_agree_with_their_owners(loaded: Stage) -> None:
    bookings = {row.id: row for row in await loaded.rows("booking", Booking)}
    for row in await loaded.rows("clinic", Appointment):
        of = bookings.pop(row.booking_id)
        assert (row.status, row.version, row.starts_at, row.staff_id) == (
            of.status,
            of.version,
            of.starts_at,
            of.staff_id,
        )
        assert row.customer_name == of.snapshot["user"]["name"]
    assert bookings == {}
    assert await count(loaded, "booking", PetRef) == 60
    assert await count(loaded, "booking", BookingUserRef) == 55
    statuses = {row.clinic_id: row.status for row in await loaded.rows("booking", ClinicRef)}
    assert statuses == {row.id: row.status for row in await loaded.rows("clinic", Clinic)}
    prices = {row.service_id: row.price_override for row in await loaded.rows("booking", OfferingRef)}
    assert prices == {row.service_id: row.price_override for row in await loaded.rows("clinic", Offering)}


async def test_the_ledger_is_the_stock_and_orders_hold_what_they_say(loaded: Stage) -> None:
    ledger: dict[Any, list[Any]] = defaultdict(list)
    lines: dict[str, list[StockMovement]] = defaultdict(list)
    for move in await loaded.rows("inventory", StockMovement):
        ledger[move.product_id].append((move.transaction_type, move.quantity))
        lines[move.reference_id or ""].append(move)
    stock = {row.product_id: row for row in await loaded.rows("inventory", Stock)}
    for product_id, row in stock.items():
        level = level_of(ledger[product_id])
        assert (row.quantity_available, row.quantity_reserved) == (level.available, level.reserved)
    for listing in await loaded.rows("vendor", Listing):
        of = stock[listing.product_id]
        assert (listing.quantity_available, listing.stock_version) == (of.quantity_available, of.version)
    states = {
        "requested": "-", "reserved": "reserved", "committed": "committed", "released": "released", "failed": "rejected",
    }  # fmt: skip
    holds = {row.order_id: row.state for row in await loaded.rows("inventory", OrderHold)}
    payments = {row.order_id: row for row in await loaded.rows("vendor", OrderPayment)}
    for order in await loaded.rows("vendor", Order):
        assert order.total_amount == sum(item.subtotal + item.tax for item in order.items)
        assert {item.status for item in order.items} == {order.status}
        assert holds[order.id] == ("returned" if order.status == "refunded" else states[order.reservation_state])
        reserved = -sum(
            move.quantity * (1 if move.transaction_type in ("reservation", "release") else -1)
            for item in order.items
            for move in lines[str(item.id)]
            if move.transaction_type != "returned"
        )
        wanted = sum(item.quantity for item in order.items) if order.reservation_state == "reserved" else 0
        assert reserved == wanted
        if order.reservation_state in ("reserved", "committed"):
            assert payments[order.id].amount == order.total_amount


async def test_payouts_pay_every_item_once(loaded: Stage) -> None:
    items: dict[Any, list[OrderItem]] = defaultdict(list)
    due = loaded.clock.now() - timedelta(days=7)
    for item in await loaded.rows("vendor", OrderItem):
        items[item.payout_id].append(item)
    assert not [item for item in items[None] if item.delivered_at is not None and item.delivered_at <= due]
    for payout in await loaded.rows("vendor", Payout):
        assert payout.amount == sum(item.earned for item in items[payout.id])
        assert {item.vendor_id for item in items[payout.id]} == {payout.vendor_id}


async def test_each_view_equals_a_rebuild_of_itself(loaded: Demo) -> None:
    admin = (await loaded.call("POST", "/auth/login", email=demo.ADMIN, password=demo.PASSWORD)).json()
    bearer = {"Authorization": f"Bearer {admin['accessToken']}"}
    for table, rows in ((UserBookingRow, 120), (AvailabilityRow, 80), (PerformanceRow, 4)):
        before = await contents(loaded, table)
        assert len(before) == rows
        name = table.__tablename__
        assert (await loaded.call("POST", f"/views/{name}/rebuild", bearer)).status_code == 202
        await loaded.world.run_job("views", "rebuild_view")
        (state,) = await loaded.rows("views", ViewState, ViewState.view_name == name)
        assert (state.state, state.generation) == ("live", 1)
        assert await contents(loaded, table) == before


async def contents(stage: Stage, table: type[Any]) -> dict[Any, dict[str, Any]]:
    """What a view's rows say, but for when they were written."""
    columns = [column.key for column in table.__table__.columns if column.key != "updated_at"]
    rows = await stage.rows("views", table)
    return {getattr(row, columns[0]): {name: getattr(row, name) for name in columns} for row in rows}


async def test_what_is_under_way_goes_on(loaded: Stage) -> None:
    waiting = [row for row in await loaded.rows("vendor", Order) if row.status == "pending"]
    assert {(row.reservation_state, row.payment.status) for row in waiting if row.payment} == {("reserved", "pending")}
    for booking in [row for row in await loaded.rows("booking", Booking) if row.status == "pending_payment"]:
        async with loaded.world.work("booking").transaction(readonly=True) as tx:
            saga = await loaded.host("booking").sagas.find(tx, "book_appointment", str(booking.id))
        assert saga is not None
        assert saga.status == "running"


async def test_nothing_is_left_to_reconcile(loaded: Demo) -> None:
    assert await loaded.dead_letters() == []
    loaded.clock.advance(minutes=5)  # what changed just now is not judged
    for service in system.services:
        for job in service.jobs:
            if job.name.startswith("reconcile"):
                await loaded.world.run_job(service.name, job.name)
    assert drifts() == loaded.drifts_before


async def test_loading_again_changes_nothing(loaded: Stage) -> None:
    def commits() -> list[int]:
        return [unit.host.outbox.commits for unit in loaded.world.process.units.values()]

    before = commits()
    loaded.clock.advance(hours=1)
    await demo.load(works(loaded.world), "demo", silent)
    assert commits() == before
    assert await count(loaded, "booking", Booking) == 120


async def test_people_can_sign_in_and_find_clinics(loaded: Stage) -> None:
    for email in ("admin@petpro.test", "customer1@petpro.test", "vendor1@petpro.test", "staff1@petpro.test"):
        answer = await loaded.call("POST", "/auth/login", email=email, password=demo.PASSWORD)
        assert answer.status_code == 200, answer.text
    assert (await loaded.seen("/clinics?city=Jakarta"))["meta"]["total"] == 2
    assert (await loaded.seen("/clinics?minRating=4"))["meta"]["total"] == 2


async def test_a_set_that_there_is_not_is_refused(loaded: Stage) -> None:
    with pytest.raises(ConfigurationError, match="demo, load, large"):
        await demo.load(works(loaded.world), "huge", silent)
