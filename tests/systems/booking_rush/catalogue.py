"""Auth and ticket in a test: people who are logged in, and events that they make through the public API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from freehold import System
from freehold.runtime.host import Host
from freehold.testing import World
from systems.booking_rush.auth.contract import Role
from systems.booking_rush.auth.service import auth
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Account, Tenant
from systems.booking_rush.ticket.service import ticket
from tests.databases import Databases

PASSWORD = "Test123!"
FAST = AuthSettings(password_time_cost=1, password_memory_kib=8, password_parallelism=1)
HOME = UUID("00000000-0000-0000-0000-000000000001")
ABROAD = UUID("00000000-0000-0000-0000-000000000002")
DAYS_AHEAD = 59
Headers = dict[str, str]

catalogue = System(
    "catalogue",
    services=[auth, ticket],
    auth="auth",
    tenant_column="tenant_id",
    tenant_free_roles=("super_admin",),
    invalid_status=400,
)


@asynccontextmanager
async def open_world(databases: Databases, system: System = catalogue) -> AsyncIterator[Catalogue]:
    """The system on fresh databases, with the tenants HOME and ABROAD."""
    urls = {service.name: await databases.url(service.name) for service in system.services}
    async with World(system, databases=urls, given={AuthSettings: FAST}) as world:
        now = world.clock.now()
        async with world.work("auth").transaction() as tx:
            for id, slug in ((HOME, "default"), (ABROAD, "abroad")):
                tx.add(Tenant(id=id, name=slug, slug=slug, created_at=now, updated_at=now))
        yield Catalogue(world)


@dataclass(frozen=True)
class Person:
    """Somebody with an account; each request gets a fresh access token, so that the clock may move between two."""

    world: World
    id: UUID
    role: Role
    tenant: UUID
    email: str

    @property
    def headers(self) -> dict[str, str]:
        return self.world.as_user(self.id, roles=[self.role], tenant_id=self.tenant, email=self.email)


class Catalogue:
    """What the tests do over and over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = world.http

    def host(self, service: str) -> Host:
        """The service on its database, to look at what is the toolkit's own."""
        return self.world.process.units[service].host

    async def person(self, role: Role = "customer", *, tenant: UUID = HOME, name: str = "") -> Person:
        """Somebody with this role."""
        id, now = uuid4(), self.world.clock.now()
        email = f"{name or id}@example.com"
        async with self.world.work("auth").transaction() as tx:
            tx.add(
                Account(
                    id=id, tenant_id=tenant, email=email, password_hash="-", name=name or "Some One", role=role,
                    created_at=now, updated_at=now,
                )
            )  # fmt: skip
        return Person(self.world, id, role, tenant, email)

    async def call(self, method: str, path: str, who: Person | Headers | None = None, **body: Any) -> httpx.Response:
        """A request to the gateway."""
        headers = who.headers if isinstance(who, Person) else who
        return await self.http.request(method, f"/api/v1{path}", headers=headers, json=body or None)

    async def made(self, path: str, who: Person | Headers, **body: Any) -> dict[str, Any]:
        """POST, and what was made."""
        answer = await self.call("POST", path, who, **body)
        assert answer.status_code in (200, 201), answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def event(
        self, who: Person, *, seats: tuple[int, ...] = (100,), price: float = 3000.00, **fields: Any
    ) -> dict[str, Any]:
        """A published event with a show in `DAYS_AHEAD` days on sale and a zone for each of `seats`; `show` and `zones`
        beside it.
        """
        date = (self.world.clock.now() + timedelta(days=DAYS_AHEAD)).date().isoformat()
        event = await self.made("/events", who, name=fields.pop("name", "Rush"), **fields)
        show = await self.made(f"/events/{event['id']}/shows", who, show_date=date, start_time="19:30:00+07:00")
        zones = [
            await self.made(f"/shows/{show['id']}/zones", who, name=f"Zone {n}", price=price, total_seats=total)
            for n, total in enumerate(seats, 1)
        ]
        event = await self.made(f"/events/{event['id']}/publish", who)
        answer = await self.call("PUT", f"/shows/{show['id']}", who, status="on_sale")
        assert answer.status_code == 200, answer.text
        await self.world.settle()
        return event | {"show": answer.json(), "zones": zones}


def problem(answer: httpx.Response, status: int, code: str) -> None:
    """The answer is this problem."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
