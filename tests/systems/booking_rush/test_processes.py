"""The acceptance scenarios once more, over a process for each service: the same functions, on another stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
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
from systems.booking_rush.system import system
from tests import servers
from tests.matrix import FULL
from tests.systems.booking_rush import (
    test_auth_sessions,
    test_queue,
    test_scenarios_inventory,
    test_scenarios_main,
)
from tests.systems.booking_rush.catalogue import ABROAD, HOME, Person, problem
from tests.systems.booking_rush.lining import Lining
from tests.systems.booking_rush.stage import Seats
from tests.systems.booking_rush.test_scenarios_inventory import (
    DRIFTED,
    OVERSOLD,
    redis_is_lost_under_load,
)
from tests.systems.site_of_processes import Plan, Site, open_site
from tests.systems.world_of_processes import WorldOfProcesses

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEPLOYMENTS = ("kafka", "rabbitmq") if FULL else ("kafka",)
ON_REDIS = ("kafka",)


def settings(folder: Path) -> Mapping[str, object]:
    """Cheap passwords, and a simulated gateway that its tests can look into."""
    return {
        "SERVICES__AUTH__SETTINGS__PASSWORD_TIME_COST": 1,
        "SERVICES__AUTH__SETTINGS__PASSWORD_MEMORY_KIB": 8,
        "SERVICES__AUTH__SETTINGS__PASSWORD_PARALLELISM": 1,
        "SERVICES__BOOKING__SETTINGS__QUEUE_LINE_SECONDS": 0.02,
        "SERVICES__PAYMENT__SETTINGS__SIM_STATE_FILE": folder / "gateway.sqlite",
        "SERVICES__PAYMENT__SETTINGS__SIM_ASYNC_DELAY_MS": 11 * 60_000,  # beyond any hold
    }


PLAN = Plan(system, settings, on_mariadb={"rabbitmq": ("ticket",)}, on_redis=ON_REDIS)
OTHERWISE = {
    "test_scenario_4_what_was_paid_in_time_is_confirmed_though_the_hold_ended_since": (
        "below: who asks by hand comes too late, for the saga confirms a paid booking within milliseconds"
    ),
    "test_scenario_17_redis_is_lost": "below, where there is a Redis",
    "test_scenario_9_a_crash_before_the_confirm_commits": "below, with kill -9",
    "test_scenario_9_a_crash_right_after_the_gateway_accepted": "below, with kill -9",
}
"""Scenarios that are played by other means than in one process, and why."""
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

    @property
    def sees_live_counters(self) -> bool:  # type: ignore[override]
        """Each process has its own where they share no store."""
        return self.world.site.has_redis

    async def flush(self, event: Mapping[str, Any]) -> None:
        """What a process remembers by itself, where it has no store beside it, lasts a second."""
        if self.world.site.has_redis:
            await asyncio.to_thread(servers.redis().flush)

    async def counted(self, metric: str) -> float:
        return await self.world.metric("booking", metric)


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(PLAN, request.param, tmp_path_factory.mktemp(request.param)) as opened:
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


async def test_scenario_4_what_was_paid_in_time_is_confirmed_though_the_hold_ended_meanwhile(
    stage: StageOfProcesses,
) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 3)
    async with paid_and_about_to_be_confirmed(stage, buyer, booking_id):
        stage.world.clock.advance(minutes=10, seconds=1)
    await stage.world.run_due()
    assert ((await stage.booking(booking_id)).status, await stage.charged(booking_id)) == ("confirmed", 900_000)
    assert len(await stage.told(BookingConfirmed, booking_id)) == 1
    problem(await stage.act(f"/bookings/{booking_id}/confirm", buyer), 409, "ALREADY_CONFIRMED")
    problem(await stage.act(f"/bookings/{booking_id}/cancel", buyer), 409, "ALREADY_CONFIRMED")


async def test_scenario_9_booking_dies_before_the_confirm_commits(stage: StageOfProcesses) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 2)
    async with paid_and_about_to_be_confirmed(stage, buyer, booking_id):
        await stage.world.kill("booking")
    await stage.world.run_due()
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert len(await stage.told(BookingConfirmed, booking_id)) == 1
    assert await stage.seats(event) == Seats(left=8, open=2, available=8, reserved=0, sold=2)


async def test_scenario_9_payment_dies_right_after_the_gateway_accepted(stage: StageOfProcesses) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 2)
    # Payment marks the row, asks the gateway, and comes back to the row, for which somebody waited meanwhile.
    async with stage.world.work("payment").transaction() as tx:
        await tx.find(Payment, Payment.booking_id == UUID(booking_id), lock=True)
        paying = asyncio.create_task(charge(stage, buyer, booking_id))
        await stage.world.until_waiting("payment", 1)
        killing = asyncio.create_task(kill_payment_once_charged(stage, booking_id))
        await stage.world.until_waiting("payment", 2)
    await killing
    assert (await paying).status_code in (502, 503)
    assert (await stage.payment(booking_id)).status == "processing"

    await stage.world.advance(minutes=2, seconds=31)
    await stage.world.run_due()
    assert (await stage.payment(booking_id)).status == "succeeded"
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert await stage.charged(booking_id) == 600_000
    assert len(await stage.told(PaymentCompleted, booking_id)) == 1


@asynccontextmanager
async def paid_and_about_to_be_confirmed(
    stage: StageOfProcesses, buyer: Person, booking_id: str
) -> AsyncIterator[None]:
    """The booking is paid, and its saga has stored so, but waits within the transaction that confirms it."""
    async with stage.world.work("booking").transaction() as tx:
        await tx.get(Booking, UUID(booking_id), lock=True)
        paid = await charge(stage, buyer, booking_id)
        assert paid.json()["status"] == "succeeded", paid.text
        (completed,) = await stage.envelopes(PaymentCompleted, booking_id)
        await until_consumed(stage, completed.event_id, "saga.post_payment_saga")
        await stage.world.until_waiting("booking", 1)
        yield


async def charge(stage: StageOfProcesses, buyer: Person, booking_id: str) -> httpx.Response:
    """Pay, and wait for nothing that follows."""
    payment = await stage.payment(booking_id)
    headers = {**buyer.headers, "Idempotency-Key": "pay"}
    url = f"/api/v1/payments/{payment.id}/process"
    return await stage.http.post(url, json={"card_token": "tok_visa"}, headers=headers)


async def kill_payment_once_charged(stage: StageOfProcesses, booking_id: str) -> None:
    """Take the payment's row when it was marked, and keep it until the gateway has the charge and payment is dead."""
    async with stage.world.work("payment").transaction() as tx:
        held = await tx.find(Payment, Payment.booking_id == UUID(booking_id), lock=True)
        assert held is not None
        assert held.status == "processing"
        async with asyncio.timeout(30):
            while await stage.charged(booking_id) is None:
                await asyncio.sleep(0.01)
        await stage.world.kill("payment")


async def until_consumed(stage: StageOfProcesses, event_id: UUID, consumer: str) -> None:
    """Until booking's consumer has stored its mark of the event."""
    table = stage.host("booking").tables.consumed
    marked = select(table.c.event_id).where(table.c.event_id == event_id, table.c.consumer_name == consumer)
    async with asyncio.timeout(30):
        while True:
            async with stage.host("booking").engine.read() as connection:
                if await connection.scalar(marked) is not None:
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("site", ON_REDIS, indirect=True)
async def test_scenario_17_redis_is_lost(stage: StageOfProcesses) -> None:
    drifted = await stage.counted(DRIFTED)
    rush = await redis_is_lost_under_load(stage)
    await rush.check([])
    assert (await stage.counted(DRIFTED), await stage.counted(OVERSOLD)) == (drifted, 0)
