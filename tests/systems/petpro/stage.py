"""PetPro in a test: people with roles and tokens, requests to the gateway, and every database at hand.

A module that uses it says `pytestmark = stage_mark`, and its tests take the fixture `stage` of the conftest: one system
for the module, emptied before each test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from freehold import Event, User, uuid7
from freehold.model.messages import Query
from freehold.runtime.calls import Answering
from freehold.runtime.context import NOBODY, Context
from freehold.runtime.host import Host
from freehold.testing import ManualClock, World
from systems.petpro.auth import facts
from systems.petpro.auth.otp_sender import KeepingSender, OtpSender
from systems.petpro.auth.roles import role_named
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.auth.tables import Account, Profile, UserRole
from systems.petpro.system import system as limited
from tests.databases import Databases

R = TypeVar("R")
PASSWORD = "Secret123"
FAST = AuthSettings(password_time_cost=1, password_memory_kib=8, password_parallelism=1)
STAYS = frozenset({"leases"})
"""Tables that the running system believes it knows the content of."""
Headers = dict[str, str]

stage_mark = pytest.mark.asyncio(loop_scope="module")

# All callers of a test have one address, and the buckets of a clock that stands still do not fill.
system = replace(limited, gateway=replace(limited.gateway, rate_limits=()))


@dataclass(frozen=True)
class Person:
    """Somebody with an account; each request gets a fresh access token, so that the clock may move between two."""

    world: World
    id: UUID
    email: str
    full_name: str
    roles: tuple[str, ...]
    permissions: frozenset[str]

    @property
    def headers(self) -> Headers:
        user = User(self.id, self.email, frozenset(self.roles), self.permissions)
        return {"Authorization": f"Bearer {self.world.token(user)}"}


class Stage:
    """What the tests do over and over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = world.http
        self.clock: ManualClock = world.clock
        self._people = 0

    # --- people -------------------------------------------------------------------------------------------------------

    async def person(self, *roles: str, name: str = "", phone: str | None = None) -> Person:
        """Somebody with these roles, a customer when none is named; the other services have heard of them."""
        self._people += 1
        first = name or f"Person{self._people}"
        email, now = f"{first.lower()}.{uuid7().hex}@example.com", self.clock.now()
        async with self.world.work("auth").transaction() as tx:
            held = [await role_named(role, tx) for role in roles or ("customer",)]
            profile = Profile(
                first_name=first, full_name=f"{first} Tester", phone_number=phone,
                notification_prefs={"email": True, "push": True, "sms": False}, created_at=now, updated_at=now,
            )  # fmt: skip
            account = Account(
                id=uuid7(), email=email, password_hash="-", is_active=True, version=1, created_at=now, updated_at=now,
                profile=profile, grants=[UserRole(role=role, created_at=now) for role in held],
            )  # fmt: skip
            tx.add(account)
            tx.publish(facts.user_created(account))
        await self.world.settle()
        permissions = frozenset(account.permissions)
        return Person(self.world, account.id, email, profile.full_name, tuple(account.roles), permissions)

    async def customer(self, name: str = "") -> Person:
        return await self.person("customer", name=name)

    async def vendor(self, name: str = "") -> Person:
        return await self.person("vendor", name=name)

    async def staff(self, name: str = "") -> Person:
        return await self.person("staff", name=name)

    async def admin(self, name: str = "") -> Person:
        return await self.person("admin", name=name)

    async def registered(self, email: str = "ann@example.com", **body: Any) -> dict[str, Any]:
        """What POST /auth/register answers."""
        wish = {"email": email, "password": PASSWORD, "firstName": "Ann", "lastName": "Lee"} | body
        return await self.made("/auth/register", None, **wish)

    @property
    def sent(self) -> KeepingSender:
        """Where one-time codes arrive."""
        sender = self.host("auth").provided.use(OtpSender)  # type: ignore[type-abstract]
        assert isinstance(sender, KeepingSender)
        return sender

    # --- requests -----------------------------------------------------------------------------------------------------

    async def call(
        self, method: str, path: str, who: Person | Headers | None = None, *, key: str | None = None, **body: Any
    ) -> httpx.Response:
        """A request to the gateway, and all that follows from it. `key` is its Idempotency-Key."""
        headers = dict(who.headers if isinstance(who, Person) else who or {})
        if key is not None:
            headers["X-Idempotency-Key"] = key
        answer = await self.http.request(method, f"/api/v1{path}", headers=headers, json=body or None)
        await self.world.settle()
        return answer

    async def made(self, path: str, who: Person | Headers | None, **body: Any) -> dict[str, Any]:
        """POST, and what was made."""
        answer = await self.call("POST", path, who, **body)
        assert answer.status_code in (200, 201, 202), answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def seen(self, path: str, who: Person | Headers | None = None) -> Any:
        """GET, and what is there."""
        answer = await self.call("GET", path, who)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, service: str, query: Query[R], user: User | None = None) -> R:
        """What a service answers a sibling."""
        answer: R = await Answering(self.host(service)).answer(query, Context(user=user) if user else NOBODY)
        return answer

    # --- looking ------------------------------------------------------------------------------------------------------

    def host(self, service: str) -> Host:
        """The service on its database, to look at what is the toolkit's own."""
        return self.world.process.units[service].host

    async def rows(self, service: str, table: type[R], *conditions: Any) -> Sequence[R]:
        """Rows of a service that meet the conditions."""
        async with self.world.work(service).transaction(readonly=True) as tx:
            return list(await tx.scalars(select(table).where(*conditions)))

    async def published(self, event: type[Event]) -> list[Any]:
        """Every event of this type, in the order of the commits."""
        return await self.world.published(event)

    async def dead_letters(self) -> list[str]:
        """What nobody could handle, in any service."""
        found = []
        for name in (service.name for service in self.world.system.services):
            host = self.host(name)
            for table in (host.tables.dead_letters, host.tables.parked):
                async with host.engine.read() as connection:
                    rows = await connection.execute(select(table))
                    found += [f"{name}: {row.consumer_name}: {row.event_type}" for row in rows]
        return found

    async def empty(self) -> None:
        """Take every row out of every service, as if the system had just been made."""
        await self.world.settle()
        for name in self.world.process.units:
            host = self.host(name)
            for metadata in (host.service.metadata, host.tables.metadata):
                tables = [table for table in reversed(metadata.sorted_tables) if table.name not in STAYS]
                async with host.engine.write() as connection:
                    await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # some tables are trees
                    for table in tables:
                        await connection.execute(table.delete())
        self._people = 0


@asynccontextmanager
async def open_stage(
    folder: Path, given: dict[type[Any], Any] | None = None, databases: Databases | None = None
) -> AsyncIterator[Stage]:
    """The whole system on fresh SQLite files, or on these databases; `given` substitutes more than cheap hashes."""
    urls = {service.name: await databases.url(service.name) for service in system.services} if databases else None
    async with World(system, databases=urls, given={AuthSettings: FAST, **(given or {})}, folder=folder) as world:
        yield Stage(world)


def problem(answer: httpx.Response, status: int, code: str) -> None:
    """The answer is this problem."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def invalid(answer: httpx.Response, *fields: str) -> None:
    """The answer refuses these fields, and no others."""
    problem(answer, 400, "VALIDATION_ERROR")
    assert {error["field"] for error in answer.json()["errors"]} == set(fields), answer.text
