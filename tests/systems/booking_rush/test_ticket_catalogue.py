"""Events, shows, zones and categories through the public API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from systems.booking_rush.ticket.contract import (
    EventCancelled,
    EventPublished,
    EventUpdated,
    ShowCancelled,
    ShowUpdated,
    ZoneInventoryUpdated,
)
from systems.booking_rush.ticket.tables import Category, Event, Show, TenantDirectory, Zone
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, HOME, Catalogue, open_world, problem


@pytest.fixture
async def app(databases: Databases) -> AsyncIterator[Catalogue]:
    async with open_world(databases) as opened:
        yield opened


async def test_a_draft_becomes_visible_when_it_is_published(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.made("/events", olga, name="Rush Hour!", meta_title="Go", latitude=13.5, city="Bangkok")
    assert (event["status"], event["slug"], event["meta_title"]) == ("draft", "rush-hour", "Go")
    assert (event["latitude"], event["min_price"], event["sale_status"]) == (13.5, None, "scheduled")
    for path in (f"/events/{event['id']}", "/events/rush-hour", "/events/slug/rush-hour"):
        problem(await app.call("GET", path), 404, "NOT_FOUND")
        problem(await app.call("GET", path, await app.person("customer")), 404, "NOT_FOUND")
        assert (await app.call("GET", path, olga)).status_code == 200
        assert (await app.call("GET", path, await app.person("admin"))).status_code == 200

    problem(await app.call("POST", f"/events/{event['id']}/publish", olga), 409, "CONFLICT")
    show = await app.made(f"/events/{event['id']}/shows", olga, show_date="2030-03-01", start_time="19:30+07:00")
    problem(await app.call("POST", f"/events/{event['id']}/publish", olga), 409, "CONFLICT")
    await app.made(f"/shows/{show['id']}/zones", olga, name="Gold", price=3000.5, total_seats=10)
    await app.made(f"/shows/{show['id']}/zones", olga, name="Standing", price=500, total_seats=10)
    await app.made(f"/events/{event['id']}/publish", olga)
    problem(await app.call("POST", f"/events/{event['id']}/publish", olga), 409, "CONFLICT")
    for path in (f"/events/{event['id']}", f"/events/id/{event['id']}", "/events/rush-hour", "/events/slug/rush-hour"):
        seen = (await app.call("GET", path)).json()
        assert (seen["status"], seen["min_price"]) == ("published", 500.0)
    listed = (await app.call("GET", "/events?city=bangkok&search=HOUR")).json()
    assert [e["id"] for e in listed["data"]] == [event["id"]]
    assert listed["meta"] == {"page": 1, "per_page": 20, "total": 1, "total_pages": 1}
    assert (await app.call("GET", "/events?search=100%25")).json()["data"] == []
    await app.world.settle()
    (published,) = await app.world.published(EventPublished)
    assert published.name == "Rush Hour!"


async def test_slugs_are_unique_in_a_tenant(app: Catalogue) -> None:
    olga, otto = await app.person("organizer"), await app.person("organizer", tenant=ABROAD)
    slugs = [(await app.made("/events", who, name="Rush  — Hour"))["slug"] for who in (olga, olga, olga, otto)]
    assert slugs == ["rush-hour", "rush-hour-2", "rush-hour-3", "rush-hour"]


async def test_lists_go_on_by_cursor_and_by_offset(app: Catalogue) -> None:
    olga = await app.person("organizer")
    for number in range(5):
        await app.made("/events", olga, name=f"Event {number}")
        app.world.clock.advance(seconds=1)
    names: list[str] = []
    path = "/events/my?limit=2"
    while path:
        page = (await app.call("GET", path, olga)).json()
        names += [event["name"] for event in page["data"]]
        path = page["next_cursor"] and f"/events/my?limit=2&cursor={page['next_cursor']}"
    assert names == [f"Event {number}" for number in (4, 3, 2, 1, 0)]
    page = (await app.call("GET", "/events/my?limit=2&offset=4", olga)).json()
    assert [event["name"] for event in page["data"]] == ["Event 0"]
    assert page["meta"] == {"page": 3, "per_page": 2, "total": 5, "total_pages": 3}
    problem(await app.call("GET", "/events/my?cursor=zzz", olga), 400, "BAD_REQUEST")
    problem(await app.call("GET", "/events/my?limit=101", olga), 400, "BAD_REQUEST")


async def test_scenario_13_permissions_and_tenants(app: Catalogue) -> None:
    o1, o2 = await app.person("organizer"), await app.person("organizer")
    abroad, admin = await app.person("organizer", tenant=ABROAD), await app.person("admin")
    foreign_admin, boss = await app.person("admin", tenant=ABROAD), await app.person("super_admin")
    customer = await app.person("customer")
    event = await app.event(o1)
    show, zone = event["show"]["id"], event["zones"][0]["id"]
    problem(await app.call("POST", "/events", customer, name="Mine"), 403, "FORBIDDEN")
    problem(await app.call("POST", "/events", name="Mine"), 401, "MISSING_TOKEN")
    for path in (f"/events/{event['id']}", f"/shows/{show}", f"/zones/{zone}"):
        for who, status in ((customer, 403), (o2, 403), (abroad, 404), (foreign_admin, 404), (admin, 200), (boss, 200)):
            answer = await app.call("PUT", path, who, name="Renamed")
            assert answer.status_code == status, (path, answer.text)
        for who, status in ((customer, 403), (o2, 403), (abroad, 404), (foreign_admin, 404)):
            assert (await app.call("DELETE", path, who)).status_code == status
    problem(await app.http.get("/internal/zones"), 404, "NOT_FOUND")
    problem(await app.http.get(f"/internal/zones/{zone}"), 404, "NOT_FOUND")
    assert (await app.call("POST", "/auth/validate", admin)).status_code == 404
    # What is public is so for people of other tenants too.
    assert (await app.call("GET", f"/events/{event['id']}", abroad)).status_code == 200


async def test_scenario_14_bad_input_writes_nothing(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.event(olga)
    show, zone = event["show"]["id"], event["zones"][0]["id"]
    good_show = {"show_date": "2030-03-01", "start_time": "19:30Z"}
    good_zone = {"name": "Gold", "price": 10, "total_seats": 5}
    bad: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/events", {"name": ""}),
        ("POST", "/events", {"name": "x" * 256}),
        ("POST", "/events", {"name": "x", "max_tickets_per_user": -1}),
        ("POST", "/events", {"name": "x", "latitude": 91}),
        ("POST", "/events", {"name": "x", "booking_start_at": "2030-02-02T00:00:00"}),
        ("POST", "/events", {"name": "x", "booking_start_at": "2030-02-02T00:00:00Z", "booking_end_at": "2030-02-01T00:00:00Z"}),
        ("POST", f"/events/{event['id']}/shows", good_show | {"show_date": "2025-13-40"}),
        ("POST", f"/events/{event['id']}/shows", good_show | {"show_date": 20300301}),
        ("POST", f"/events/{event['id']}/shows", good_show | {"start_time": "19:30"}),
        ("POST", f"/events/{event['id']}/shows", good_show | {"start_time": "25:00Z"}),
        ("POST", f"/shows/{show}/zones", good_zone | {"price": -1}),
        ("POST", f"/shows/{show}/zones", good_zone | {"price": 10.005}),
        ("POST", f"/shows/{show}/zones", good_zone | {"price": "much"}),
        ("POST", f"/shows/{show}/zones", good_zone | {"total_seats": 0}),
        ("POST", f"/shows/{show}/zones", good_zone | {"min_per_order": 5, "max_per_order": 4}),
        ("POST", f"/shows/{show}/zones", good_zone | {"color": "red"}),
        ("PUT", f"/zones/{zone}", {}),
        ("PUT", f"/zones/{zone}", {"name": None}),
        ("PUT", f"/zones/{zone}", {"price": 1.001}),
        ("PUT", f"/events/{event['id']}", {}),
        ("PUT", "/events/not-an-id", {"name": "x"}),
    ]  # fmt: skip
    before = await _rows(app)
    for method, path, body in bad:
        answer = await app.http.request(method, f"/api/v1{path}", headers=olga.headers, json=body)
        problem(answer, 400, "BAD_REQUEST")
    malformed = await app.http.post(
        "/api/v1/events", headers=olga.headers | {"content-type": "application/json"}, content=b'{"name": '
    )
    problem(malformed, 400, "BAD_REQUEST")
    assert await _rows(app) == before


async def _rows(app: Catalogue) -> list[Any]:
    host = app.world.process.units["ticket"].host
    tables = [*host.service.metadata.sorted_tables, host.tables.outbox, host.tables.audit]
    async with host.engine.read() as connection:
        return [await connection.scalar(select(func.count()).select_from(table)) for table in tables]


async def test_times_keep_their_zone_and_lose_their_date(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.made("/events", olga, name="Rush")
    show = await app.made(
        f"/events/{event['id']}/shows",
        olga,
        show_date="2030-03-01",
        start_time="2030-03-01T19:30:00+07:00",
        doors_open_at="18:00:00+07:00",
    )
    assert (show["start_time"], show["doors_open_at"]) == ("19:30:00+07:00", "18:00:00+07:00")
    assert (show["status"], show["total_capacity"]) == ("scheduled", 0)


async def test_capacity_follows_the_zones(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.event(olga, seats=(100, 50))
    show, (first, second) = event["show"]["id"], event["zones"]
    assert (await app.call("GET", f"/shows/{show}")).json()["total_capacity"] == 150
    assert (await app.call("PUT", f"/zones/{first['id']}", olga, total_seats=80)).json()["available_seats"] == 80
    assert (await app.call("DELETE", f"/zones/{second['id']}", olga)).status_code == 200
    problem(await app.call("GET", f"/zones/{second['id']}"), 404, "ZONE_NOT_FOUND")
    assert (await app.call("GET", f"/shows/{show}")).json()["total_capacity"] == 80
    await app.world.settle()
    told = await app.world.published(ZoneInventoryUpdated)
    assert [(e.cause, e.capacity_change) for e in told if e.capacity_change] == [
        ("zone.created", 100),
        ("zone.created", 50),
        ("zone.updated", -20),
        ("zone.deleted", -50),
    ]
    async with app.world.work("ticket").transaction() as tx:
        row = await tx.find(Show, Show.id == told[0].show_id)
        assert row is not None
        row.total_capacity, row.sold_count = 7, 7
    await app.world.run_job("ticket", "capacity_recount")
    seen = (await app.call("GET", f"/shows/{show}")).json()
    assert (seen["total_capacity"], seen["sold_count"]) == (80, 0)


async def test_what_is_booked_is_neither_deleted_nor_shrunk_nor_unpublished(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.event(olga, seats=(10,))
    show, zone = event["show"]["id"], event["zones"][0]["id"]
    async with app.world.work("ticket").transaction() as tx:
        row, its_show = await tx.find(Zone), await tx.find(Show)
        assert row is not None
        assert its_show is not None
        row.available_seats, row.reserved_seats, row.sold_seats = 5, 3, 2
        its_show.reserved_count, its_show.sold_count = 3, 2
    for path in (f"/events/{event['id']}", f"/shows/{show}", f"/zones/{zone}"):
        problem(await app.call("DELETE", path, olga), 409, "HAS_BOOKINGS")
    problem(await app.call("PUT", f"/zones/{zone}", olga, total_seats=4), 409, "BELOW_COMMITTED")
    draft = await app.call("PUT", f"/events/{event['id']}", olga, status="draft")
    problem(draft, 409, "INVALID_STATUS_TRANSITION")
    assert (await app.call("PUT", f"/zones/{zone}", olga, total_seats=5)).json()["available_seats"] == 0
    assert (await app.call("GET", f"/shows/{show}")).json()["status"] == "sold_out"
    assert (await app.call("PUT", f"/zones/{zone}", olga, total_seats=6)).json()["available_seats"] == 1
    assert (await app.call("GET", f"/shows/{show}")).json()["status"] == "on_sale"


async def test_an_event_goes_back_to_draft_while_nothing_is_booked(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.event(olga)
    assert (await app.call("PUT", f"/events/{event['id']}", olga, status="draft")).json()["status"] == "draft"
    problem(await app.call("GET", f"/events/{event['id']}"), 404, "NOT_FOUND")
    answer = await app.call("PUT", f"/events/{event['id']}", olga, status="published")
    problem(answer, 409, "INVALID_STATUS_TRANSITION")
    await app.world.settle()
    last = (await app.world.published(ZoneInventoryUpdated))[-1]
    assert (last.cause, last.on_sale) == ("event.updated", False)


async def test_cancelling_an_event_cancels_its_shows(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.event(olga)
    cancelled = await app.call("POST", f"/events/{event['id']}/cancel", olga, reason="Rain")
    assert cancelled.json()["status"] == "cancelled"
    assert (await app.call("GET", f"/shows/{event['show']['id']}", olga)).json()["status"] == "cancelled"
    again = await app.call("POST", f"/events/{event['id']}/cancel", olga, reason="Rain")
    problem(again, 409, "INVALID_STATUS_TRANSITION")
    await app.world.settle()
    (told,) = await app.world.published(EventCancelled)
    assert (told.reason, [str(id) for id in told.show_ids]) == ("Rain", [event["show"]["id"]])
    assert await app.world.published(ShowCancelled) == []


async def test_a_show_by_its_owner(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.event(olga)
    path = f"/shows/{event['show']['id']}"
    for wanted in ("sold_out", "completed"):
        problem(await app.call("PUT", path, olga, status=wanted), 409, "INVALID_STATUS_TRANSITION")
    assert (await app.call("PUT", path, olga, status="scheduled")).json()["status"] == "scheduled"
    assert (await app.call("PUT", path, olga, status="cancelled")).json()["status"] == "cancelled"
    problem(await app.call("PUT", path, olga, status="on_sale"), 409, "INVALID_STATUS_TRANSITION")
    await app.world.settle()
    assert len(await app.world.published(ShowCancelled)) == 1
    steps = [(e.previous_status, e.status) for e in await app.world.published(ShowUpdated)]
    assert steps == [("scheduled", "on_sale"), ("on_sale", "scheduled"), ("scheduled", "cancelled")]


async def test_the_clock_starts_and_completes_what_is_due(app: Catalogue) -> None:
    olga = await app.person("organizer")
    event = await app.made("/events", olga, name="Rush")
    show = await app.made(
        f"/events/{event['id']}/shows",
        olga,
        show_date="2030-01-03",
        start_time="19:30+07:00",
        sale_start_at="2030-01-01T13:00:00Z",
    )
    await app.made(f"/shows/{show['id']}/zones", olga, name="Gold", price=10, total_seats=10)
    path = f"/shows/{show['id']}"

    async def status_after(**parts: float) -> Any:
        app.world.clock.advance(**parts)
        await app.world.run_job("ticket", "show_status_clock")
        return (await app.call("GET", path, olga)).json()["status"]

    assert await status_after(hours=1) == "scheduled", "its event is a draft"
    await app.made(f"/events/{event['id']}/publish", olga)
    assert await status_after() == "on_sale"
    await app.call("PUT", path, olga, status="scheduled")
    assert await status_after() == "scheduled", "its owner paused it"
    await app.call("PUT", path, olga, status="on_sale")
    assert await status_after(days=2, hours=3.9) == "on_sale", "in Bangkok it is still the same day"
    assert await status_after(hours=0.2) == "completed"
    assert (await app.call("GET", f"/events/{event['id']}", olga)).json()["status"] == "completed"
    await app.world.settle()
    assert (await app.world.published(EventUpdated))[-1].changed == ["status"]


async def test_an_inactive_tenant_hides_its_events(app: Catalogue) -> None:
    boss = await app.person("super_admin")
    olga = await app.person("organizer", tenant=ABROAD)
    event = await app.event(olga)
    await app.call("PUT", f"/tenants/{ABROAD}", boss, is_active=False)
    await app.world.settle()
    problem(await app.call("GET", f"/events/{event['id']}"), 404, "NOT_FOUND")
    assert (await app.call("GET", "/events")).json()["data"] == []
    assert (await app.call("GET", "/zones/active")).json()["data"] == []
    await app.call("PUT", f"/tenants/{ABROAD}", boss, is_active=True)
    await app.world.settle()
    assert (await app.call("GET", f"/events/{event['id']}")).status_code == 200
    assert len((await app.call("GET", "/zones/active")).json()["data"]) == 1


async def test_the_tenant_directory_can_be_rebuilt(app: Catalogue) -> None:
    async with app.world.work("ticket").transaction(readonly=True) as tx:
        assert await tx.find(TenantDirectory) is None
    await app.world.process.units["ticket"].views.rebuild("tenant_directory", page=1)
    async with app.world.work("ticket").transaction(readonly=True) as tx:
        slugs = {row.tenant_id: row.slug for row in await tx.scalars(select(TenantDirectory))}
    assert slugs == {HOME: "default", ABROAD: "abroad"}


async def test_an_admin_creates_events_for_active_organizers_only(app: Catalogue) -> None:
    admin, olga = await app.person("admin"), await app.person("organizer")
    olga_id = (await app.call("GET", "/auth/me", olga)).json()["id"]
    event = await app.made("/events", admin, name="Rush", organizer_id=olga_id)
    assert event["organizer_id"] == olga_id
    problem(await app.call("POST", "/events", olga, name="x", organizer_id=str(HOME)), 403, "FORBIDDEN")
    problem(await app.call("POST", "/events", admin, name="x", organizer_id=str(HOME)), 404, "NOT_FOUND")
    carl_id = (await app.call("GET", "/auth/me", await app.person("customer"))).json()["id"]
    problem(await app.call("POST", "/events", admin, name="x", organizer_id=carl_id), 400, "BAD_REQUEST")


async def test_categories(app: Catalogue) -> None:
    olga = await app.person("organizer")
    rock = await app.made("/categories", olga, name="Rock & Pop", sort_order=2)
    assert rock["slug"] == "rock-pop"
    problem(await app.call("POST", "/categories", olga, name="Rock Pop"), 409, "CONFLICT")
    jazz = await app.made("/categories", olga, name="Jazz", sort_order=1)
    problem(await app.call("PUT", f"/categories/{jazz['id']}", olga, slug="rock-pop"), 409, "CONFLICT")
    assert [c["name"] for c in (await app.call("GET", "/categories")).json()["data"]] == ["Jazz", "Rock & Pop"]
    event = await app.made("/events", olga, name="Rush", category_id=rock["id"])
    abroad = await app.person("organizer", tenant=ABROAD)
    problem(await app.call("DELETE", f"/categories/{rock['id']}", abroad), 404, "NOT_FOUND")
    problem(await app.call("POST", "/events", abroad, name="x", category_id=rock["id"]), 404, "NOT_FOUND")
    assert (await app.call("DELETE", f"/categories/{rock['id']}", olga)).status_code == 200
    assert (await app.call("GET", f"/events/{event['id']}", olga)).json()["category_id"] is None
    assert (await app.made("/categories", olga, name="Rock & Pop"))["slug"] == "rock-pop"
    async with app.world.work("ticket").transaction(readonly=True) as tx:
        assert await tx.scalar(select(func.count(Category.id))) == 3
        assert await tx.scalar(select(func.count(Event.id))) == 1
