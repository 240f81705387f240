"""Booking Rush in a test: buyers at the public API, the simulated gateway, and every database at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from freehold import Event, Unavailable
from freehold.model.envelope import Envelope
from freehold.observe.metrics import METRICS
from freehold.runtime.saga_store import SagaView
from freehold.testing import ManualClock, World
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.booking import lifecycle
from systems.booking_rush.booking.live_seats import LiveSeats
from systems.booking_rush.booking.seats import OPEN
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.payment.gateway import PaymentGateway
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.simulated import SimulatedGateway
from systems.booking_rush.payment.tables import Payment
from systems.booking_rush.system import system as limited
from systems.booking_rush.ticket.tables import Zone
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, FAST, HOME, Catalogue, Person

E = TypeVar("E", bound=Event)

# All buyers of a test have one address, and the buckets of a clock that stands still do not fill.
system = replace(limited, gateway=replace(limited.gateway, rate_limits=()))


@dataclass(frozen=True)
class Seats:
    """A zone as booking counts it, as its bookings add up, and as ticket has it."""

    left: int
    open: int
    available: int
    reserved: int
    sold: int


class Stage(Catalogue):
    """What buyers do, and what is left in the databases."""

    async def reserve(
        self,
        who: Person,
        event: Mapping[str, Any],
        quantity: Any = 1,
        *,
        zone: int = 0,
        key: str | None = None,
        **body: Any,
    ) -> httpx.Response:
        """POST /bookings/reserve; `body` overrides what is sent."""
        self._keys = getattr(self, "_keys", 0) + 1
        wish = {
            "event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][zone]["id"],
            "quantity": quantity,
        }  # fmt: skip
        return await self.http.post(
            "/api/v1/bookings/reserve",
            json=wish | body,
            headers={**who.headers, "X-Idempotency-Key": key or f"reserve-{self._keys}"},
        )

    async def held(self, who: Person, event: Mapping[str, Any], quantity: int = 1, **more: Any) -> str:
        """The id of a new booking."""
        answer = await self.reserve(who, event, quantity, **more)
        assert answer.status_code == 201, answer.text
        await self.world.settle()
        booking_id: str = answer.json()["booking_id"]
        return booking_id

    async def act(self, path: str, who: Person, *, key: str = "", **body: Any) -> httpx.Response:
        """POST with an idempotency key, and all that follows from it."""
        self._keys = getattr(self, "_keys", 0) + 1
        headers = {**who.headers, "Idempotency-Key": key or f"act-{self._keys}"}
        answer = await self.http.post(f"/api/v1{path}", json=body, headers=headers)
        await self.world.settle()
        return answer

    async def pay(self, who: Person, booking_id: str, card: str | None = "tok_visa") -> httpx.Response:
        """Process the payment that waits for the booking."""
        payment = await self.payment(booking_id)
        return await self.act(f"/payments/{payment.id}/process", who, card_token=card)

    async def bought(self, who: Person, event: Mapping[str, Any], quantity: int = 1, **more: Any) -> str:
        """The id of a new booking that is paid and confirmed."""
        booking_id = await self.held(who, event, quantity, **more)
        assert (await self.pay(who, booking_id)).json()["status"] == "succeeded"
        await self.world.run_due()
        assert (await self.booking(booking_id)).status == "confirmed"
        return booking_id

    # --- looking ------------------------------------------------------------------------------------------------------

    async def booking(self, booking_id: str | UUID) -> Booking:
        """The row."""
        async with self.world.work("booking").transaction(readonly=True) as tx:
            found = await tx.get(Booking, UUID(str(booking_id)))
        assert found is not None
        return found

    async def payment(self, booking_id: str | UUID) -> Payment:
        """The row of the booking's payment."""
        async with self.world.work("payment").transaction(readonly=True) as tx:
            found = await tx.find(Payment, Payment.booking_id == UUID(str(booking_id)))
        assert found is not None
        return found

    async def seats(self, event: Mapping[str, Any], zone: int = 0) -> Seats:
        """How the databases count a zone."""
        zone_id = UUID(event["zones"][zone]["id"])
        async with self.world.work("booking").transaction(readonly=True) as tx:
            counted = await tx.get(ZoneInventory, zone_id)
            taken = await tx.scalar(
                select(func.coalesce(func.sum(Booking.quantity), 0)).where(Booking.zone_id == zone_id, OPEN)
            )
        async with self.world.work("ticket").transaction(readonly=True) as tx:
            there = await tx.get(Zone, zone_id)
        assert counted is not None
        assert there is not None
        return Seats(counted.left, int(taken), there.available_seats, there.reserved_seats, there.sold_seats)

    async def told(self, kind: type[E], booking_id: str) -> list[E]:
        """The events of this type about the booking."""
        return [kind.model_validate_json(event.payload) for event in await self.envelopes(kind, booking_id)]

    async def bookings(self, event: Mapping[str, Any]) -> int:
        """How many bookings of the event there ever were."""
        async with self.world.work("booking").transaction(readonly=True) as tx:
            wanted = select(func.count()).where(Booking.event_id == UUID(event["id"]))
            return int(await tx.scalar(wanted))

    async def charged(self, booking_id: str) -> int | None:
        """What the gateway holds of the booking's payment, in the smallest unit; None: it never charged it."""
        return self.gateway.charged.get((await self.payment(booking_id)).id)

    async def saga(self, name: str, booking_id: str) -> SagaView:
        """The booking's saga."""
        async with self.world.work("booking").transaction(readonly=True) as tx:
            found = await self.host("booking").sagas.find(tx, name, booking_id)
        assert found is not None
        return found

    @property
    def gateway(self) -> SimulatedGateway:
        """The simulated gateway of the running payment service."""
        gateway = self.host("payment").provided.use(PaymentGateway)  # type: ignore[type-abstract]
        assert isinstance(gateway, SimulatedGateway)
        return gateway

    async def live(self, event: Mapping[str, Any]) -> list[int | None]:
        """What the live counters of the event's zones say; None where there is none, or no store."""
        zone_ids = [UUID(zone["id"]) for zone in event["zones"]]
        try:
            levels = await self.live_seats.levels(zone_ids)
        except Unavailable:
            levels = {}
        return [levels[zone_id].left if zone_id in levels else None for zone_id in zone_ids]

    sees_live_counters = True
    """Whether the services' store can be looked into from here."""

    @property
    def live_seats(self) -> LiveSeats:
        """The live counters as the running service knows them."""
        return self.host("booking").provided.use(LiveSeats)

    async def redeliver(self, kind: type[Event], booking_id: str, *, times: int = 1) -> None:
        """Deliver the booking's event of this type again, under its own id, to all services that consume it."""
        for event in await self.envelopes(kind, booking_id):
            for service in system.services:
                if kind in service.consumes():
                    message = kind.model_validate_json(event.payload)
                    await self.world.deliver(service.name, message, times=times, event_id=event.event_id)

    async def envelopes(self, kind: type[Event], booking_id: str) -> list[Envelope]:
        """The booking's events of this type, as they were published."""
        owner = next(service.name for service in system.services if kind in service.publishes)
        table = self.host(owner).tables.outbox
        async with self.host(owner).engine.read() as connection:
            of_booking = (table.c.event_type == kind.__message__.name) & (table.c.partition_key == booking_id)
            rows = await connection.execute(select(table).where(of_booking))
            return [
                Envelope(row.event_id, row.event_type, row.version, owner, row.topic, row.partition_key,
                         row.created_at, row.payload, row.headers)
                for row in rows
            ]  # fmt: skip

    async def dead_letters(self) -> list[str]:
        """What nobody could handle, in any service, and people have not dealt with."""
        found = []
        for name in (service.name for service in self.world.system.services):
            host = self.host(name)
            dead, parked = host.tables.dead_letters, host.tables.parked
            for unsettled in (select(dead).where(dead.c.status == "dead"), select(parked)):
                async with host.engine.read() as connection:
                    rows = await connection.execute(unsettled)
                    found += [f"{name}: {row.consumer_name}: {row.event_type}" for row in rows]
        return found

    # --- what another layout does otherwise --------------------------------------------------------------------------

    @asynccontextmanager
    async def confirming_fails(self, event: Mapping[str, Any]) -> AsyncIterator[None]:
        """No booking of the event can be confirmed meanwhile."""

        def fail(*_: object) -> None:
            raise RuntimeError("confirming fails")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(lifecycle, "confirm", fail)
            yield

    async def flush(self, event: Mapping[str, Any]) -> None:
        """Lose the live counters of the event's zones, and what booking remembers of zones beside their rows."""
        for zone in event["zones"]:
            await self.live_seats.forget(UUID(zone["id"]))
        self.host("booking").provided.use(SoldOutMemory).forget()

    async def counted(self, metric: str) -> float:
        """A metric of booking's."""
        return METRICS.registry.get_sample_value(metric) or 0.0


async def open_again(
    databases: Databases, folder: Path, clock: ManualClock, store: str = "memory://", **settings: Any
) -> World:
    """The system on the databases and the gateway's books that are there already."""
    urls = {service.name: await databases.url(service.name) for service in system.services}
    payments = PaymentSettings(sim_state_file=str(folder / "gateway.sqlite"), **settings)
    return World(
        system,
        databases=urls,
        given={AuthSettings: FAST, PaymentSettings: payments},
        clock=clock,
        folder=folder / "home",
        store=store,
    )


@asynccontextmanager
async def open_stage(databases: Databases, folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    """The whole system on fresh databases, with the tenants HOME and ABROAD; `settings` are payment's."""
    async with await open_again(databases, folder, ManualClock(), **settings) as world:
        async with world.work("auth").transaction() as tx:
            for id, slug in ((HOME, "default"), (ABROAD, "abroad")):
                tx.add(Tenant(id=id, name=slug, slug=slug, created_at=tx.now(), updated_at=tx.now()))
        stage = Stage(world)
        yield stage
        assert await stage.dead_letters() == []
