"""The virtual queue in a test: people who join, look where they stand, and show their passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select

from freehold.testing import ManualClock, World
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.booking.queue_tables import EventQueue, QueueEntry
from systems.booking_rush.booking.settings import BookingSettings
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, FAST, HOME, Person
from tests.systems.booking_rush.stage import Stage, system

Event = Mapping[str, Any]


class Lining(Stage):
    """What people do in the queue, and what is left in booking's database."""

    async def queued_event(self, *, most: int = 2, required: bool = True, seats: int = 100, **more: Any) -> Event:
        """An event on sale whose queue lets `most` through at a time."""
        organizer = await self.person("organizer")
        event = await self.event(organizer, seats=(seats,))
        answer = await self.configure(event, organizer, required=required, max_concurrent_bookings=most, **more)
        assert answer.status_code == 200, answer.text
        return event

    async def configure(self, event: Event, who: Person, **settings: Any) -> httpx.Response:
        return await self.call("PUT", f"/admin/queue/{event['id']}", who, **settings)

    async def join(self, who: Person, event: Event, *, key: str = "") -> httpx.Response:
        return await self.act("/queue/join", who, key=key, event_id=event["id"])

    async def joined(self, who: Person, event: Event) -> dict[str, Any]:
        answer = await self.join(who, event)
        assert answer.status_code == 201, answer.text
        place: dict[str, Any] = answer.json()
        return place

    async def position(self, who: Person, event: Event) -> httpx.Response:
        return await self.call("GET", f"/queue/position/{event['id']}", who)

    async def release(self) -> None:
        """The worker's turn."""
        await self.world.run_job("booking", "queue_release_worker")

    async def pass_of(self, who: Person, event: Event) -> str:
        """The pass that somebody has by now."""
        shown = (await self.position(who, event)).json()
        assert shown.get("is_ready"), shown
        token: str = shown["queue_pass"]
        return token

    async def passed(self, who: Person, event: Event) -> str:
        """The pass of somebody who joins and is let through at once."""
        await self.joined(who, event)
        await self.release()
        return await self.pass_of(who, event)

    async def leave(self, who: Person, event: Event, token: str) -> httpx.Response:
        return await self.call("DELETE", "/queue/leave", who, event_id=event["id"], token=token)

    async def entries(self, event: Event) -> list[QueueEntry]:
        """Every place of the event there ever was, in order."""
        wanted = select(QueueEntry).where(QueueEntry.event_id == UUID(event["id"])).order_by(QueueEntry.number)
        async with self.world.work("booking").transaction(readonly=True) as tx:
            return list(await tx.scalars(wanted))

    async def statuses(self, event: Event) -> list[str]:
        """What became of them; and the queue's own count is right."""
        entries = await self.entries(event)
        async with self.world.work("booking").transaction(readonly=True) as tx:
            waiting = await tx.scalar(select(EventQueue.waiting).where(EventQueue.event_id == UUID(event["id"])))
            open_ = await tx.scalar(select(func.count()).where(QueueEntry.status == "waiting"))
        assert waiting == sum(entry.status == "waiting" for entry in entries) <= open_
        return [entry.status for entry in entries]


async def open_again(databases: Databases, folder: Path, clock: ManualClock, **settings: Any) -> World:
    """The system on databases that are there already; `settings` are booking's."""
    urls = {service.name: await databases.url(service.name) for service in system.services}
    chosen = BookingSettings(**{"queue_line_seconds": 0.02, **settings})
    return World(
        system, databases=urls, given={AuthSettings: FAST, BookingSettings: chosen}, clock=clock, folder=folder
    )


@asynccontextmanager
async def open_lining(databases: Databases, folder: Path, **settings: Any) -> AsyncIterator[Lining]:
    """The whole system on fresh databases; `settings` are booking's."""
    async with await open_again(databases, folder / "home", ManualClock(), **settings) as world:
        async with world.work("auth").transaction() as tx:
            for id, slug in ((HOME, "default"), (ABROAD, "abroad")):
                tx.add(Tenant(id=id, name=slug, slug=slug, created_at=tx.now(), updated_at=tx.now()))
        lining = Lining(world)
        yield lining
        assert await lining.dead_letters() == []
