"""The acceptance scenarios once more, over a process for each service: the same functions, on another stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select, text

from freehold import Event
from freehold.runtime.host import Host
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.booking.contract import BookingConfirmed
from systems.booking_rush.booking.tables import Booking
from systems.booking_rush.payment.contract import PaymentCompleted
from systems.booking_rush.payment.tables import Payment
from tests.systems.booking_rush import (
    test_auth_sessions,
    test_queue,
    test_scenarios_inventory,
    test_scenarios_main,
)
from tests.systems.booking_rush.catalogue import ABROAD, HOME
from tests.systems.booking_rush.lining import Lining
from tests.systems.booking_rush.site_of_processes import DEPLOYMENTS, Site, open_site
from tests.systems.booking_rush.stage import Seats
from tests.systems.booking_rush.world_of_processes import WorldOfProcesses

pytestmark = pytest.mark.asyncio(loop_scope="module")
OTHERWISE = {
    "test_scenario_4_what_was_paid_in_time_is_confirmed_though_the_hold_ended_since": (
        "the saga confirms a paid booking within milliseconds, and nothing can come between"
    ),
    "test_scenario_9_a_crash_before_the_confirm_commits": "below, with kill -9",
    "test_scenario_9_a_crash_right_after_the_gateway_accepted": "below, with kill -9",
}
"""Scenarios that are not played here as they are in one process, and why."""
for _module in (test_scenarios_main, test_queue, test_auth_sessions, test_scenarios_inventory):
    _scenarios = {name: item for name, item in vars(_module).items() if name.startswith("test_scenario_")}
    globals().update({name: scenario for name, scenario in _scenarios.items() if name not in OTHERWISE})


class StageOfProcesses(Lining):
    """Buyers, and people in the queue, of a site."""

    world: WorldOfProcesses  # type: ignore[assignment]

    def host(self, service: str) -> Host:
        return self.world.host(service)

    async def redeliver(self, kind: type[Event], booking_id: str, *, times: int = 1) -> None:
        for event in await self.envelopes(kind, booking_id):
            await self.world.redeliver(event, times=times)

    @asynccontextmanager
    async def confirming_fails(self, event: Mapping[str, Any]) -> AsyncIterator[None]:
        """Booking's own database refuses it."""
        refusal = f"CHECK (status <> 'confirmed' OR event_id <> '{UUID(event['id'])}')"
        async with self.host("booking").engine.write() as connection:
            await connection.execute(text(f"ALTER TABLE bookings ADD CONSTRAINT refused {refusal}"))
        try:
            yield
        finally:
            async with self.host("booking").engine.write() as connection:
                await connection.execute(text("ALTER TABLE bookings DROP CONSTRAINT refused"))

    sees_live_counters = False

    async def flush(self, event: Mapping[str, Any]) -> None:
        """What a process remembers by itself lasts a second; there is no store outside of it yet."""

    async def counted(self, metric: str) -> float:
        return await self.world.metric("booking", metric)


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(request.param, tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(site: Site) -> AsyncIterator[WorldOfProcesses]:
    async with WorldOfProcesses(site) as opened:
        async with opened.work("auth").transaction() as tx:
            for id, slug in ((HOME, "default"), (ABROAD, "abroad")):
                tx.add(Tenant(id=id, name=slug, slug=slug, created_at=tx.now(), updated_at=tx.now()))
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stage(world: WorldOfProcesses) -> AsyncIterator[StageOfProcesses]:
    stage, lines = StageOfProcesses(world), len(world.site.lines)  # type: ignore[arg-type]
    before = await stage.dead_letters()
    yield stage
    print("\n".join(world.site.lines[lines:]))
    assert await stage.dead_letters() == before


@pytest.fixture
def app(stage: StageOfProcesses) -> StageOfProcesses:
    return stage


async def test_scenario_9_booking_dies_before_the_confirm_commits(stage: StageOfProcesses) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 2)
    payment = await stage.payment(booking_id)
    headers = {**buyer.headers, "Idempotency-Key": "pay"}
    async with stage.world.work("booking").transaction() as tx:
        await tx.get(Booking, UUID(booking_id), lock=True)  # whoever confirms it waits
        process = f"/api/v1/payments/{payment.id}/process"
        paid = await stage.http.post(process, json={"card_token": "tok_visa"}, headers=headers)
        assert paid.json()["status"] == "succeeded", paid.text
        await until_consumed(stage, PaymentCompleted, booking_id, "saga.post_payment_saga")
        await stage.world.kill("booking")
    await stage.world.run_due()
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert len(await stage.told(BookingConfirmed, booking_id)) == 1
    assert await stage.seats(event) == Seats(left=8, open=2, available=8, reserved=0, sold=2)


async def test_scenario_9_payment_dies_right_after_the_gateway_accepted(stage: StageOfProcesses) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 2)
    payment = await stage.payment(booking_id)

    async def pay() -> int:
        headers = {**buyer.headers, "Idempotency-Key": "pay"}
        process = f"/api/v1/payments/{payment.id}/process"
        return (await stage.http.post(process, json={"card_token": "tok_visa"}, headers=headers)).status_code

    # Payment marks the row, asks the gateway, and comes back to the row, for which somebody waited meanwhile.
    async with stage.world.work("payment").transaction() as first:
        await first.get(Payment, payment.id, lock=True)
        paying = asyncio.create_task(pay())
        await until_waiting(stage, 1)
        second = asyncio.create_task(hold_until_charged(stage, booking_id))
        await until_waiting(stage, 2)
    await second
    assert await paying in (502, 503)
    assert (await stage.payment(booking_id)).status == "processing"

    await stage.world.advance(minutes=2, seconds=31)
    await stage.world.run_due()
    assert (await stage.payment(booking_id)).status == "succeeded"
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert await stage.charged(booking_id) == 600_000
    assert len(await stage.told(PaymentCompleted, booking_id)) == 1


async def hold_until_charged(stage: StageOfProcesses, booking_id: str) -> None:
    """Keep the payment's row after it was marked, and kill payment's process once the gateway has the charge."""
    async with stage.world.work("payment").transaction() as tx:
        held = await tx.find(Payment, Payment.booking_id == UUID(booking_id), lock=True)
        assert held is not None
        assert held.status == "processing"
        async with asyncio.timeout(30):
            while await stage.charged(booking_id) is None:
                await asyncio.sleep(0.01)
        await stage.world.kill("payment")


async def until_waiting(stage: StageOfProcesses, count: int) -> None:
    """Until so many transactions wait for a lock in payment's database."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user")
    async with asyncio.timeout(30):
        while True:
            async with stage.host("payment").engine.read() as connection:
                if await connection.scalar(waiting) >= count:
                    return
            await asyncio.sleep(0.01)


async def until_consumed(stage: StageOfProcesses, kind: type[Event], booking_id: str, consumer: str) -> None:
    """Until booking's consumer has stored its mark of the booking's event."""
    table = stage.host("booking").tables.consumed
    async with asyncio.timeout(30):
        while True:
            ids = [event.event_id for event in await stage.envelopes(kind, booking_id)]
            marked = select(table.c.event_id).where(table.c.event_id.in_(ids), table.c.consumer_name == consumer)
            async with stage.host("booking").engine.read() as connection:
                if ids and await connection.scalar(marked) is not None:
                    return
            await asyncio.sleep(0.01)
