"""The audit trail: reservations and what becomes of them, and every write that a role or an owner may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, Row, select
from sqlalchemy import event as listening

from systems.booking_rush.auth.service import auth
from systems.booking_rush.booking.service import booking
from systems.booking_rush.ticket.service import ticket
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import HOME, Person
from tests.systems.booking_rush.stage import Stage, open_stage

WRITES = [
    (service.name, f"{route.method} {route.path}")
    for service in (auth, ticket, booking)
    for route in service.routes
    if route.method != "GET" and route.access is not None and route.access.kind in ("role", "owner")
]
SHOW = {"show_date": "2030-03-02", "start_time": "19:30:00+07:00"}
ZONE = {"name": "Gold", "price": 3000.0, "total_seats": 5}


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


async def trail(stage: Stage, service: str) -> list[Row[Any]]:
    host = stage.world.process.units[service].host
    async with host.engine.read() as connection:
        return list(await connection.execute(select(host.tables.audit).order_by(host.tables.audit.c.id)))


# --- bookings ---------------------------------------------------------------------------------------------------------


async def test_reservations_of_one_batch_leave_a_row_each_by_one_statement(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(30,))
    buyers = [await stage.person() for _ in range(31)]
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    listening.listen(Engine, "before_cursor_execute", note)
    try:
        answers = await asyncio.gather(*(stage.reserve(buyer, event) for buyer in buyers))
    finally:
        listening.remove(Engine, "before_cursor_execute", note)
    granted = {answer.json()["booking_id"] for answer in answers if answer.status_code == 201}
    assert len(granted) == 30
    rows = await trail(stage, "booking")
    assert {row.resource_id for row in rows} == granted, "who is refused leaves none"
    written = [sum(f"INSERT INTO {table}" in each for each in sent) for table in ("audit_logs", "bookings")]
    assert written[0] == written[1] < 20, "one statement for each batch"
    by_booking = {row.resource_id: row for row in rows}
    for buyer, answer in zip(buyers, answers, strict=True):
        if answer.status_code == 201:
            row = by_booking[answer.json()["booking_id"]]
            assert (row.action, row.resource, row.actor_id, row.tenant_id) == ("reserve", "booking", buyer.id, HOME)
            assert row.request_id == answer.headers["X-Request-ID"]
            assert (row.before, row.after["status"], row.after["quantity"]) == (None, "reserved", 1)


async def test_a_repeated_request_leaves_no_second_row(stage: Stage) -> None:
    event, buyer = await stage.event(await stage.person("organizer"), seats=(30,)), await stage.person()
    for _ in range(2):
        assert (await stage.reserve(buyer, event, key="K")).status_code == 201
    assert [row.action for row in await trail(stage, "booking")] == ["reserve"]


async def test_what_becomes_of_a_booking_is_told_with_what_it_was(stage: Stage) -> None:
    event, buyer = await stage.event(await stage.person("organizer"), seats=(30,)), await stage.person()
    bought, dropped = await stage.bought(buyer, event), await stage.held(buyer, event)
    await stage.act(f"/bookings/{dropped}/cancel", buyer)
    told = {(row.action, row.resource_id): row for row in await trail(stage, "booking")}
    sold, given_up = told["confirm", bought], told["cancel", dropped]
    assert (sold.before["status"], sold.after["status"], sold.actor_id) == ("reserved", "confirmed", None)
    assert sold.after["payment_id"] == str((await stage.payment(bought)).id)
    assert (given_up.before["status"], given_up.after["reason"]) == ("reserved", "user_cancelled")
    assert given_up.actor_id == buyer.id


# --- writes of roles and owners ---------------------------------------------------------------------------------------


class Writing:
    """Somebody who does each write once, on something of its own."""

    def __init__(self, stage: Stage, organizer: Person, admin: Person, boss: Person, buyer: Person) -> None:
        self.stage = stage
        self.organizer, self.admin, self.boss, self.buyer = organizer, admin, boss, buyer

    async def draft(self) -> dict[str, Any]:
        """An event that could be published, with its show and zone."""
        event = await self.stage.made("/events", self.organizer, name="Draft")
        show = await self.stage.made(f"/events/{event['id']}/shows", self.organizer, **SHOW)
        zone = await self.stage.made(f"/shows/{show['id']}/zones", self.organizer, **ZONE)
        return event | {"show": show, "zone": zone}

    async def category(self) -> str:
        self.names = getattr(self, "names", 0) + 1
        made = await self.stage.made("/categories", self.organizer, name=f"Kind {self.names}")
        return str(made["id"])

    async def tenant(self) -> str:
        self.names = getattr(self, "names", 0) + 1
        made = await self.stage.made("/tenants", self.boss, name="Elsewhere", slug=f"elsewhere-{self.names}")
        return str(made["id"])

    async def sale(self) -> dict[str, Any]:
        return await self.stage.event(self.organizer, seats=(10,))

    async def held(self) -> str:
        return await self.stage.held(self.buyer, await self.sale())

    async def paid(self) -> str:
        booking_id = await self.held()
        await self.stage.pay(self.buyer, booking_id)
        return booking_id


Request = tuple[Person, str, dict[str, Any]]


async def _user(w: Writing) -> str:
    return str((await w.stage.person()).id)


WRITERS: dict[str, Callable[[Writing], Awaitable[Request]]] = {}
"""How each write is done, by its route."""


def simple(route: str, who: str, made: Callable[[Writing], Awaitable[Any]] | None = None, /, **body: Any) -> None:
    """A write on the thing that `made` makes, whose id is filled into the path."""

    async def write(w: Writing) -> Request:
        path = route.partition(" ")[2]
        if made is not None:
            path = path.replace(path[path.index("{") : path.index("}") + 1], str(await made(w)))
        return getattr(w, who), path, body

    WRITERS[route] = write


async def _draft(w: Writing) -> Any:
    return (await w.draft())["id"]


async def _show(w: Writing) -> Any:
    return (await w.draft())["show"]["id"]


async def _zone(w: Writing) -> Any:
    return (await w.draft())["zone"]["id"]


async def _sale(w: Writing) -> Any:
    return (await w.sale())["id"]


simple("PUT /users/{id}", "admin", _user, name="Another Name")
simple("DELETE /users/{id}", "admin", _user)
simple("POST /tenants", "boss", name="New", slug="new")
simple("PUT /tenants/{id}", "boss", Writing.tenant, name="Renamed")
simple("DELETE /tenants/{id}", "boss", Writing.tenant)
simple("POST /categories", "organizer", name="Opera")
simple("PUT /categories/{id}", "organizer", Writing.category, name="Jazz")
simple("DELETE /categories/{id}", "organizer", Writing.category)
simple("POST /events", "organizer", name="Rush")
simple("PUT /events/{id}", "organizer", _draft, name="Renamed")
simple("POST /events/{id}/publish", "organizer", _draft)
simple("POST /events/{id}/cancel", "organizer", _sale, reason="rain")
simple("DELETE /events/{id}", "organizer", _draft)
simple("POST /events/{id}/shows", "organizer", _draft, **SHOW)
simple("PUT /shows/{id}", "organizer", _show, name="Late show")
simple("DELETE /shows/{id}", "organizer", _show)
simple("POST /shows/{id}/zones", "organizer", _show, **ZONE)
simple("PUT /zones/{id}", "organizer", _zone, price=10.5)
simple("DELETE /zones/{id}", "organizer", _zone)
simple("POST /bookings/{id}/confirm", "buyer", Writing.paid)
simple("POST /bookings/{id}/cancel", "buyer", Writing.held)
simple("DELETE /bookings/{id}", "buyer", Writing.held)
simple("POST /admin/sync-inventory", "admin")
simple("PUT /admin/queue/{event_id}", "organizer", _sale, max_concurrent_bookings=7)


async def test_every_write_of_a_role_or_an_owner_leaves_a_row(stage: Stage) -> None:
    assert {route for _, route in WRITES} == set(WRITERS), "say below how a new write is done"
    people = [await stage.person(role) for role in ("organizer", "admin", "super_admin", "customer")]
    writing = Writing(stage, *people)
    for service, route in WRITES:
        who, path, body = await WRITERS[route](writing)
        before = {row.id for row in await trail(stage, service)}
        answer = await _send(stage, route.partition(" ")[0], path, who, body, key=route)
        assert answer.status_code in (200, 201), (route, answer.text)
        new = [row for row in await trail(stage, service) if row.id not in before]
        assert new, f"{route} leaves no audit row"
        for row in new:
            assert row.actor_id == who.id, route
            assert row.request_id == answer.headers["X-Request-ID"], route
            assert row.tenant_id is not None, route
            assert row.action, route
            assert row.resource, route
            assert row.before is not None or row.after is not None, f"{route}: neither before nor after"
        await stage.world.settle()


async def _send(stage: Stage, method: str, path: str, who: Person, body: dict[str, Any], *, key: str) -> httpx.Response:
    headers = {**who.headers, "Idempotency-Key": key.replace(" ", "-")}
    with_body = body or ({} if method == "POST" and path.endswith("/confirm") else None)
    return await stage.http.request(method, f"/api/v1{path}", headers=headers, json=with_body)
