"""Sales as organizers and admins see them, kept from events in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from systems.booking_rush.auth.contract import Role
from systems.booking_rush.notification.tables import EventDirectory, SalesFact
from systems.booking_rush.ticket.contract import EventCancelled, EventUpdated
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, HOME, problem
from tests.systems.booking_rush.newsroom import Newsroom, open_newsroom
from tests.unit.booking_rush.sales import Sale, created, published
from tests.unit.booking_rush.zones import NOW


@pytest.fixture
async def room(databases: Databases) -> AsyncIterator[Newsroom]:
    async with open_newsroom(databases) as opened:
        yield opened


def days_ago(days: float, **told: Any) -> Sale:
    return Sale(NOW - timedelta(days=days), **{"tenant_id": HOME, **told})


async def an_event(room: Newsroom, organizer: UUID, name: str = "Rush", tenant: UUID = HOME) -> UUID:
    event_id = uuid4()
    await room.hear(created(event_id, organizer, name, tenant), published(event_id, name, tenant))
    return event_id


# --- the facts --------------------------------------------------------------------------------------------------------


async def test_sales_facts_are_the_same_in_whatever_order_events_come(room: Newsroom) -> None:
    expected = None
    for order in permutations(range(4)):
        sale = Sale(user_id=UUID(int=7))
        events = [sale.reserved(), sale.confirmed(), sale.cancelled(), sale.refunded("1500.00")]
        await room.hear(*(events[number] for number in order))
        (fact,) = [row for row in await room.rows(SalesFact) if row.booking_id == sale.booking_id]
        named = ("status", "quantity", "total_amount", "refund_amount", "reserved_at", "confirmed_at", "ended_at",
                 "version_at")  # fmt: skip
        found = {name: getattr(fact, name) for name in named}
        expected = expected or found
        assert found == expected, order
    assert expected is not None
    assert (expected["status"], f"{expected['refund_amount']:.2f}") == ("cancelled", "1500.00")
    assert (expected["confirmed_at"], expected["ended_at"]) == (NOW + timedelta(minutes=2), NOW + timedelta(hours=1))


async def test_the_catalogue_follows_its_events(room: Newsroom) -> None:
    organizer = uuid4()
    event_id = await an_event(room, organizer)
    more: dict[str, Any] = {"event_id": event_id, "tenant_id": HOME, "name": "Rush II"}
    await room.hear(
        EventUpdated(**more, slug="rush", status="published", changed=["name"], updated_at=NOW),
        EventCancelled(**more, reason="rain", show_ids=[], cancelled_at=NOW + timedelta(seconds=1)),
    )
    (row,) = await room.rows(EventDirectory)
    assert (row.name, row.status, row.organizer_id) == ("Rush II", "cancelled", organizer)
    report = await room.report(f"/analytics/events/{event_id}")
    assert (report["name"], report["status"]) == ("Rush II", "cancelled")
    assert (await room.report("/analytics/dashboard"))["active_events"] == 0


async def test_a_deleted_event_is_not_active(room: Newsroom) -> None:
    more: dict[str, Any] = {"tenant_id": HOME, "name": "Rush", "slug": "rush", "status": "published"}
    for changed in (["name"], ["deleted_at"]):
        event_id = await an_event(room, uuid4())
        await room.hear(EventUpdated(event_id=event_id, **more, changed=changed, updated_at=NOW))
    assert (await room.report("/analytics/dashboard"))["active_events"] == 1


# --- reports ----------------------------------------------------------------------------------------------------------


async def test_the_dashboard_counts_confirmed_totals_minus_refunds(room: Newsroom) -> None:
    mine = await an_event(room, uuid4())
    kept, halved, gone, late = (days_ago(days, event_id=mine) for days in (1, 2, 3, 4))
    before, long_ago = days_ago(31, event_id=mine, quantity=1), days_ago(70, event_id=mine)
    await room.hear(
        kept.reserved(), kept.confirmed(),
        halved.confirmed(), halved.cancelled(), halved.refunded("3000.00"),
        gone.confirmed(), gone.cancelled(), gone.refunded("6000.00"),
        late.reserved(), late.expired(), late.refunded("6000.00"),  # was paid too late: was never revenue
        days_ago(1, event_id=mine).reserved(),
        before.confirmed(), long_ago.confirmed(),
        days_ago(1, event_id=mine, currency="USD").confirmed(),
    )  # fmt: skip
    assert await room.report("/analytics/dashboard") == {
        "currency": "THB",
        "total_revenue": 18_000.0,  # 6000 + 3000 + 0; 3000 before; 6000 long ago
        "total_bookings": 3,
        "total_tickets_sold": 5,
        "active_events": 1,
        "revenue_change_percent": 200.0,  # 9000 after 3000
        "bookings_change_percent": 0.0,
    }
    dollars = await room.report("/analytics/dashboard?currency=USD")
    assert (dollars["total_revenue"], dollars["revenue_change_percent"]) == (6000.0, None)
    problem(await room.get("/analytics/dashboard?currency=baht"), 400, "VALIDATION_ERROR")


async def test_sales_by_day_week_and_month(room: Newsroom) -> None:
    for days in (0, 0.9, 1.2, 40):  # noon of Tuesday the first of January, and before
        await room.hear(days_ago(days, quantity=1).confirmed())
    report = await room.report("/analytics/sales?start_date=2029-12-30&end_date=2030-01-02")
    assert [(one["start_date"], one["revenue"], one["bookings"], one["tickets_sold"]) for one in report["data"]] == [
        ("2029-12-30", 0.0, 0, 0),
        ("2029-12-31", 6000.0, 2, 2),
        ("2030-01-01", 3000.0, 1, 1),
        ("2030-01-02", 0.0, 0, 0),
    ]
    assert report["total"] == {"revenue": 9000.0, "bookings": 3, "tickets_sold": 3}
    weekly = await room.report("/analytics/sales?period=week&start_date=2029-12-30&end_date=2030-01-02")
    assert [(one["start_date"], one["end_date"], one["bookings"]) for one in weekly["data"]] == [
        ("2029-12-30", "2029-12-30", 0),
        ("2029-12-31", "2030-01-02", 3),
    ]
    monthly = await room.report("/analytics/sales?period=month&start_date=2029-11-01&end_date=2030-01-31")
    assert [(one["start_date"], one["bookings"]) for one in monthly["data"]] == [
        ("2029-11-01", 1), ("2029-12-01", 2), ("2030-01-01", 1),
    ]  # fmt: skip
    default = await room.report("/analytics/sales")
    assert (default["start_date"], default["end_date"], len(default["data"])) == ("2029-12-03", "2030-01-01", 30)
    assert default["total"]["bookings"] == 3


@pytest.mark.parametrize(
    "query",
    [
        "start_date=2030-01-02&end_date=2030-01-01",
        "start_date=2020-01-01&end_date=2030-01-01",
        "start_date=2025-13-40",
        "end_date=9999-12-31",
        "period=year",
    ],
)
@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
async def test_spans_that_make_no_sense_are_refused(room: Newsroom, query: str) -> None:
    problem(await room.get(f"/analytics/sales?{query}"), 400, "VALIDATION_ERROR")


async def test_top_events_and_one_event_with_its_zones(room: Newsroom) -> None:
    organizer = uuid4()
    small, big, none = [await an_event(room, organizer, name) for name in ("Small", "Big", "None")]
    show, gold, silver = uuid4(), uuid4(), uuid4()
    of_big: dict[str, Any] = {"event_id": big, "show_id": show, "zone_id": gold}
    refunded = days_ago(1, **of_big)
    await room.hear(
        days_ago(1, event_id=small).confirmed(),
        days_ago(1, **of_big).confirmed(),
        days_ago(1, **of_big | {"zone_id": silver, "zone_name": "Silver"}, quantity=4).confirmed(),
        refunded.confirmed(), refunded.cancelled(), refunded.refunded("1000.00"),
        days_ago(1, **of_big).expired(),
        days_ago(1, event_id=none).reserved(),
    )  # fmt: skip
    top = await room.report("/analytics/events/top?limit=2")
    assert top["data"] == [
        {"event_id": str(big), "name": "Big", "status": "published", "revenue": 23_000.0, "bookings": 2,
         "tickets_sold": 6},
        {"event_id": str(small), "name": "Small", "status": "published", "revenue": 6000.0, "bookings": 1,
         "tickets_sold": 2},
    ]  # fmt: skip
    assert [one["name"] for one in (await room.report("/analytics/events/top?limit=1"))["data"]] == ["Big"]
    assert len((await room.report("/analytics/events/top"))["data"]) == 2, "nothing was sold of the third"
    report = await room.report(f"/analytics/events/{big}")
    assert (report["revenue"], report["refunded"]) == (23_000.0, 1000.0)
    assert report["bookings_by_status"] == {"confirmed": 2, "cancelled": 1, "expired": 1}
    assert [(zone["zone_name"], zone["revenue"], zone["tickets_sold"]) for zone in report["zones"]] == [
        ("Gold", 11_000.0, 2), ("Silver", 12_000.0, 4),
    ]  # fmt: skip


async def test_a_sum_may_have_more_digits_than_an_amount(room: Newsroom) -> None:
    for _ in range(11):
        await room.hear(days_ago(1, quantity=1, price="999999999.99").confirmed())
    assert (await room.report("/analytics/dashboard"))["total_revenue"] == 10_999_999_999.89


# --- whose ------------------------------------------------------------------------------------------------------------


async def test_an_organizer_sees_the_own_events_an_admin_the_tenant_s(room: Newsroom) -> None:
    olga, otto = uuid4(), uuid4()
    of_olga, of_otto = await an_event(room, olga, "Olga's"), await an_event(room, otto, "Otto's")
    abroad = await an_event(room, uuid4(), "Abroad", ABROAD)
    await room.hear(
        days_ago(1, event_id=of_olga).confirmed(),
        days_ago(1, event_id=of_otto, quantity=1).confirmed(),
        days_ago(1, event_id=abroad, tenant_id=ABROAD, quantity=3).confirmed(),
    )
    seen: list[tuple[UUID, Role, UUID, float, int]] = [
        (olga, "organizer", HOME, 6000.0, 1),
        (otto, "organizer", HOME, 3000.0, 1),
        (uuid4(), "organizer", HOME, 0.0, 0),
        (uuid4(), "admin", HOME, 9000.0, 2),
        (uuid4(), "admin", ABROAD, 9000.0, 1),
        (uuid4(), "super_admin", HOME, 18_000.0, 3),
    ]
    for who, role, tenant, revenue, events in seen:
        dashboard = await room.report("/analytics/dashboard", who, role, tenant)
        assert (dashboard["total_revenue"], dashboard["active_events"]) == (revenue, events)
        top = (await room.report("/analytics/events/top", who, role, tenant))["data"]
        assert (sum(one["revenue"] for one in top), len(top)) == (revenue, events)
        sales = await room.report("/analytics/sales", who, role, tenant)
        assert sales["total"]["revenue"] == revenue
    answers: list[tuple[UUID | None, Role, UUID, int]] = [
        (olga, "organizer", of_olga, 200), (olga, "organizer", of_otto, 403), (olga, "organizer", abroad, 404),
        (None, "admin", of_otto, 200), (None, "admin", abroad, 404), (None, "super_admin", abroad, 200),
        (None, "admin", uuid4(), 404),
    ]  # fmt: skip
    for caller, its_role, event_id, status in answers:
        answer = await room.get(f"/analytics/events/{event_id}", caller, its_role)
        assert answer.status_code == status, (its_role, answer.text)


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
async def test_customers_see_no_reports(room: Newsroom) -> None:
    for path in ("dashboard", "sales", "events/top", f"events/{uuid4()}"):
        problem(await room.get(f"/analytics/{path}", role="customer"), 403, "FORBIDDEN")
        problem(await room.world.http.get(f"/api/v1/analytics/{path}"), 401, "MISSING_TOKEN")
