"""The acceptance scenarios once more, over a process for each service: the same functions, on another stage.

Only in a full run: they take minutes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from freehold.runtime.host import Host
from systems.petpro.booking.contract import BookingConfirmed
from systems.petpro.clinic.tables import Appointment
from systems.petpro.gateway import FakeGateway, PaymentGateway
from systems.petpro.system import system
from tests.matrix import FULL
from tests.systems.petpro import (
    test_scenarios_booking,
    test_scenarios_market,
    test_scenarios_people,
    test_scenarios_reviews,
    test_scenarios_views,
)
from tests.systems.petpro.booking_stage import Bookings
from tests.systems.petpro.market_stage import Market
from tests.systems.petpro.stage import Stage, stage_mark
from tests.systems.site_of_processes import Plan, Site, open_site
from tests.systems.world_of_processes import WorldOfProcesses

pytestmark = [stage_mark, pytest.mark.engines(0, 1)]


def settings(folder: Path) -> Mapping[str, object]:
    """Cheap passwords."""
    return {
        "SERVICES__AUTH__SETTINGS__PASSWORD_TIME_COST": 1,
        "SERVICES__AUTH__SETTINGS__PASSWORD_MEMORY_KIB": 8,
        "SERVICES__AUTH__SETTINGS__PASSWORD_PARALLELISM": 1,
    }


PLAN = Plan(system, settings, on_redis=("kafka",))
OTHERWISE = {"test_6_crash_between_steps": "below, with kill -9"}
"""Scenarios that are played by other means than in one process, and why."""


class StageOfProcesses(Stage):
    """People of a site. Nothing is taken away between its tests."""

    world: WorldOfProcesses  # type: ignore[assignment]

    def host(self, service: str) -> Host:
        return self.world.host(service)


class MarketOfProcesses(Market):
    """Its time goes on."""

    ahead_seconds = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(PLAN, "kafka", tmp_path_factory.mktemp("kafka")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(site: Site) -> AsyncIterator[StageOfProcesses]:
    async with WorldOfProcesses(site) as world:
        yield StageOfProcesses(world)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def marketplace(people: StageOfProcesses) -> MarketOfProcesses:
    return MarketOfProcesses(people, await people.admin())


@pytest_asyncio.fixture(loop_scope="module")
async def stage(people: StageOfProcesses) -> AsyncIterator[StageOfProcesses]:
    lines = len(people.world.site.lines)
    yield people
    print("\n".join(people.world.site.lines[lines:]))
    assert await people.dead_letters() == []


@pytest.fixture
def market(stage: StageOfProcesses, marketplace: MarketOfProcesses) -> MarketOfProcesses:
    return marketplace


@pytest_asyncio.fixture(loop_scope="module")
async def play(stage: StageOfProcesses) -> AsyncIterator[Bookings]:
    gateway = stage.host("booking").provided.use(PaymentGateway)  # type: ignore[type-abstract]
    assert isinstance(gateway, FakeGateway)
    bookings = Bookings(stage, gateway)
    yield bookings
    await bookings.check_books()


async def test_6_booking_dies_between_payment_and_confirmation(play: Bookings, stage: StageOfProcesses) -> None:
    clinic, who = await play.clinic(), await stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    # The saga has stored that it is paid, and asks clinic, which does not get to its answer.
    async with stage.host("clinic").engine.write() as connection:
        await connection.execute(text("LOCK TABLE clinics IN ACCESS EXCLUSIVE MODE"))
        assert (await play.send(made)).status_code == 200
        await stage.world.until_waiting("clinic")
        await stage.world.kill("booking")
        assert (await play.saga("book_appointment", made["id"])).step_name == "confirm"
        assert ((await play.row(made)).status, (await play.payment(made)).status) == ("pending_payment", "success")
    await stage.world.run_due()
    assert (await play.row(made)).status == "confirmed"
    assert len(await play.told(BookingConfirmed, made)) == 1
    assert len(await stage.rows("clinic", Appointment, Appointment.booking_id == UUID(made["id"]))) == 1


# Views come first, before anybody has rebuilt one and while the clinic's day is young. Reviews come last: their bookings
# of the past were never paid, and so are in nobody's books.
for _module in (
    test_scenarios_views,
    test_scenarios_booking,
    test_scenarios_market,
    test_scenarios_people,
    test_scenarios_reviews,
):
    _numbered = {name: item for name, item in vars(_module).items() if re.match(r"test_\d", name)}
    globals().update({name: scenario for name, scenario in _numbered.items() if FULL and name not in OTHERWISE})
