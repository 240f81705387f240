"""The whole system with notification, and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from freehold.inspect.check import check
from freehold.testing import World
from systems.booking_rush import demo
from systems.booking_rush.auth.contract import UserDeleted
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.booking.tables import Booking
from systems.booking_rush.notification.tables import EventDirectory, Notification, RecipientDirectory, SalesFact
from systems.booking_rush.payment.tables import Payment
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import FAST, HOME, Person
from tests.systems.booking_rush.stage import Seats, Stage, open_stage, system

without = replace(system, services=[service for service in system.services if service.name != "notification"])


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


async def rows(world: World, table: type[Any]) -> list[Any]:
    async with world.work("notification").transaction(readonly=True) as tx:
        return list(await tx.scalars(select(table)))


async def told(stage: Stage, who: Person) -> list[str]:
    """The types of what somebody was told, as they see it."""
    page = (await stage.call("GET", "/notifications", who)).json()
    return sorted(one["type"] for one in page["data"])


async def report(stage: Stage, path: str, who: Person) -> Any:
    answer = await stage.call("GET", f"/analytics/{path}", who)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- with it ----------------------------------------------------------------------------------------------------------


async def test_a_buyer_is_told_of_the_sale_and_of_the_refund(stage: Stage) -> None:
    organizer, buyer = await stage.person("organizer"), await stage.person(name="ann")
    event = await stage.event(organizer, seats=(10,), name="Rush")
    booking_id = await stage.bought(buyer, event, 2)
    assert await told(stage, buyer) == ["booking_confirmation", "e_ticket", "payment_receipt"]
    code = (await stage.booking(booking_id)).confirmation_code
    tickets = [row for row in await rows(stage.world, Notification) if row.type == "e_ticket"]
    assert [code in row.body for row in tickets] == [True]
    first = await report(stage, "dashboard", organizer)
    assert (first["total_revenue"], first["total_bookings"], first["total_tickets_sold"]) == (6000.0, 1, 2)
    assert first["active_events"] == 1

    payment = await stage.payment(booking_id)
    assert (await stage.act(f"/payments/{payment.id}/refund", organizer, amount=1500.0)).status_code == 200
    assert (await told(stage, buyer)).count("payment_receipt") == 2
    assert (await told(stage, buyer)).count("booking_cancelled") == 1
    after = await report(stage, f"events/{event['id']}", organizer)
    assert (after["revenue"], after["refunded"], after["bookings"]) == (4500.0, 1500.0, 0)


async def test_a_buyer_is_told_of_a_decline_an_expiry_and_a_cancelled_event(stage: Stage) -> None:
    organizer, ann, ben, cat = [await stage.person(role) for role in ("organizer", "customer", "customer", "customer")]
    event = await stage.event(organizer, seats=(10,))
    declined = await stage.held(ann, event)
    await stage.pay(ann, declined, "tok_insufficient")
    assert await told(stage, ann) == ["booking_cancelled"]
    bought = await stage.bought(ben, event)
    assert (await stage.act(f"/events/{event['id']}/cancel", organizer, reason="rain")).status_code == 200
    for _ in range(2):
        await stage.world.advance(seconds=5)
    assert (await stage.payment(bought)).status == "refunded"
    assert await told(stage, ben) == [
        "booking_cancelled", "booking_confirmation", "e_ticket", "payment_receipt", "payment_receipt",
    ]  # fmt: skip
    another = await stage.event(organizer, seats=(10,), name="Another")
    await stage.held(cat, another)
    await stage.world.advance(minutes=10, seconds=1)
    assert await told(stage, cat) == ["booking_expired"]
    dashboard = await report(stage, "dashboard", organizer)
    assert (dashboard["total_revenue"], dashboard["active_events"]) == (0.0, 1)


async def test_what_is_told_is_sent_unless_the_user_is_deleted(stage: Stage) -> None:
    organizer, ann, ben = await stage.person("organizer"), await stage.person(name="ann"), await stage.person()
    event, admin = await stage.event(organizer, seats=(10,)), await stage.person("admin")
    # People of these tests come without events: notification hears of them when an admin changes them.
    for who in (ann, ben):
        assert (await stage.call("PUT", f"/users/{who.id}", admin, name="Some Body")).status_code == 200
    await stage.world.settle()
    assert {row.email for row in await rows(stage.world, RecipientDirectory)} == {ann.email, ben.email}
    for who in (ann, ben):
        booking_id = await stage.held(who, event)
        await stage.pay(who, booking_id)
    stage.world.clock.advance(seconds=1)
    assert (await stage.call("DELETE", f"/users/{ben.id}", admin)).status_code == 200
    await stage.world.settle()
    assert len(await stage.world.published(UserDeleted)) == 1
    for _ in range(3):
        await stage.world.advance(seconds=2)
    status: dict[Any, set[str]] = {}
    for row in await rows(stage.world, Notification):
        status.setdefault(row.user_id, set()).add(row.status)
    assert status == {ann.id: {"sent"}, ben.id: {"failed"}}


async def test_sales_facts_are_rebuilt_from_booking(stage: Stage) -> None:
    organizer = await stage.person("organizer")
    event = await stage.event(organizer, seats=(10,))
    bought, given_back = [await stage.bought(await stage.person(), event, 2) for _ in range(2)]
    held, dropped = [await stage.held(await stage.person(), event) for _ in range(2)]
    payment = await stage.payment(given_back)
    await stage.act(f"/payments/{payment.id}/refund", organizer, amount=1000.0)
    stage.world.clock.advance(minutes=1)
    buyer = (await stage.booking(dropped)).user_id
    await stage.act(f"/bookings/{dropped}/cancel", replace(organizer, id=buyer, role="customer"))
    before = _facts(await rows(stage.world, SalesFact))
    assert {fact["status"] for fact in before.values()} == {"confirmed", "cancelled", "reserved"}
    async with stage.world.work("notification").transaction() as tx:
        await tx.execute(delete(SalesFact).where(SalesFact.booking_id.in_([(await stage.booking(bought)).id])))
        await tx.execute(update(SalesFact).values(quantity=99, event_name="Wrong"))
    stage.world.clock.advance(minutes=1)
    rebuilt = await stage.world.process.units["notification"].views.rebuild("sales_facts", page=2)
    assert rebuilt == 4
    assert _facts(await rows(stage.world, SalesFact)) == before
    assert (await stage.booking(held)).status == "reserved"


async def test_the_catalogue_is_rebuilt_from_ticket(stage: Stage) -> None:
    organizer = await stage.person("organizer")
    kept = await stage.event(organizer, seats=(10,), name="Kept")
    dropped = await stage.event(organizer, seats=(10,), name="Dropped")
    stage.world.clock.advance(seconds=1)
    assert (await stage.call("DELETE", f"/events/{dropped['id']}", organizer)).status_code == 200
    await stage.world.settle()
    assert (await report(stage, "dashboard", organizer))["active_events"] == 1
    async with stage.world.work("notification").transaction() as tx:
        await tx.execute(delete(EventDirectory))
    stage.world.clock.advance(seconds=1)
    assert await stage.world.process.units["notification"].views.rebuild("event_directory", page=1) == 2
    assert (await report(stage, "dashboard", organizer))["active_events"] == 1
    assert (await report(stage, f"events/{kept['id']}", organizer))["name"] == "Kept"


def _facts(found: list[Any]) -> dict[Any, dict[str, Any]]:
    names = SalesFact.__table__.columns.keys()
    return {row.booking_id: {name: getattr(row, name) for name in names} for row in found}


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-schemas"], indirect=True)
async def test_the_demo_s_dashboard_agrees_with_its_bookings(databases: Databases) -> None:
    urls = {service.name: await databases.url(service.name) for service in system.services}
    async with World(system, databases=urls, given={AuthSettings: FAST}) as world:
        works = {service.name: world.work(service.name) for service in system.services}
        await demo.demo(works, lambda *_: None, bookings=400)
        await world.settle()
        async with works["booking"].transaction(readonly=True) as tx:
            sold = Booking.confirmed_at.is_not(None)
            total = await tx.scalar(select(func.sum(Booking.total_amount)).where(sold))
            stands = await tx.scalar(select(func.count(Booking.id)).where(Booking.status == "confirmed"))
        async with works["payment"].transaction(readonly=True) as tx:
            back = await tx.scalar(select(func.sum(Payment.refund_amount)))
        headers = world.as_user(roles=["super_admin"], tenant_id=HOME)
        dashboard = (await world.http.get("/api/v1/analytics/dashboard", headers=headers)).json()
        assert dashboard["total_revenue"] == float(total - back) > 0
        assert dashboard["total_bookings"] == stands
        assert dashboard["active_events"] == 23, "those that are not over"
        facts = _facts(await rows(world, SalesFact))
        assert await world.process.units["notification"].views.rebuild("sales_facts") == 400
        assert _facts(await rows(world, SalesFact)) == facts, "as booking itself would tell it"


# --- without it -------------------------------------------------------------------------------------------------------


def test_without_notification_the_system_lacks_only_the_step_that_may_fail() -> None:
    wrong = [finding for finding in check(without) if finding.severity == "error"]
    assert wrong
    assert [finding for finding in wrong if "'send-notification'" not in finding.where] == []


async def test_every_flow_works_without_notification(databases: Databases) -> None:
    urls = {service.name: await databases.url(service.name) for service in without.services}
    async with World(without, databases=urls, given={AuthSettings: FAST}) as world:
        async with world.work("auth").transaction() as tx:
            tx.add(Tenant(id=HOME, name="home", slug="default", created_at=tx.now(), updated_at=tx.now()))
        stage = Stage(world)
        organizer = await stage.person("organizer")
        event = await stage.event(organizer, seats=(10,))
        bought = await stage.bought(await stage.person(), event, 2)
        await stage.held(await stage.person(), event, 3)
        poor = await stage.person()
        assert (await stage.pay(poor, await stage.held(poor, event), "tok_declined")).json()["status"] == "failed"
        await stage.world.advance(minutes=10, seconds=1)
        assert await stage.seats(event) == Seats(left=8, open=2, available=8, reserved=0, sold=2)
        assert (await stage.act(f"/events/{event['id']}/cancel", organizer, reason="rain")).status_code == 200
        for _ in range(2):
            await stage.world.advance(seconds=5)
        assert (await stage.payment(bought)).status == "refunded"
        assert (await stage.seats(event)).open == 0
        assert (await stage.call("GET", "/notifications", organizer)).status_code == 404
        assert await stage.dead_letters() == ["booking: saga.post_payment_saga: notification.send_confirmation"]
