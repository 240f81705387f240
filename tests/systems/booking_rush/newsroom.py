"""Notification in a test: alone with auth, told directly what others would tell, and a sender that remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from freehold import Event, System
from freehold.testing import World
from systems.booking_rush.auth.contract import Role, UserCreated
from systems.booking_rush.auth.service import auth
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.notification.sender import Message, NotificationSender, SendingFailed
from systems.booking_rush.notification.service import notification
from systems.booking_rush.notification.tables import Notification
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import FAST, HOME

newsroom = System(
    "newsroom",
    services=[auth, notification],
    auth="auth",
    tenant_column="tenant_id",
    tenant_free_roles=("super_admin",),
    invalid_status=400,
)


class RememberingSender:
    """Keeps what it is given; `refusals` of the next messages are refused, one after another, with their error."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.refusals: list[Exception] = []

    async def send(self, message: Message) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(message)


class Newsroom:
    """What the tests do over and over."""

    def __init__(self, world: World, sender: RememberingSender) -> None:
        self.world = world
        self.sender = sender

    async def hear(self, *events: Event) -> None:
        """Be told, in this order."""
        for event in events:
            await self.world.deliver("notification", event)

    async def meet(self, user_id: UUID, email: str = "ann@example.com") -> None:
        """Hear of a user."""
        await self.hear(
            UserCreated(
                user_id=user_id, tenant_id=HOME, email=email, name="Ann", role="customer", is_active=True,
                created_at=self.world.clock.now(),
            )
        )  # fmt: skip

    async def rows(self, table: type[Any] = Notification) -> list[Any]:
        """Every row of one of notification's tables."""
        async with self.world.work("notification").transaction(readonly=True) as tx:
            return list(await tx.scalars(select(table)))

    async def get(
        self, path: str, who: UUID | None = None, role: Role = "admin", tenant: UUID = HOME
    ) -> httpx.Response:
        """GET in somebody's name."""
        headers = self.world.as_user(who, roles=[role], tenant_id=tenant)
        return await self.world.http.get(f"/api/v1{path}", headers=headers)

    async def report(self, path: str, who: UUID | None = None, role: Role = "admin", tenant: UUID = HOME) -> Any:
        """What a report says."""
        answer = await self.get(path, who, role, tenant)
        assert answer.status_code == 200, answer.text
        return answer.json()


def refused(times: int) -> list[Exception]:
    """So many refusals."""
    return [SendingFailed("mailbox full")] * times


@asynccontextmanager
async def open_newsroom(databases: Databases) -> AsyncIterator[Newsroom]:
    """The two services on fresh databases."""
    urls = {service.name: await databases.url(service.name) for service in newsroom.services}
    sender = RememberingSender()
    given: dict[type[Any], Any] = {AuthSettings: FAST, NotificationSender: sender}
    async with World(newsroom, databases=urls, given=given) as world:
        yield Newsroom(world, sender)
