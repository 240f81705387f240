"""One running system for each module, emptied before each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.systems.petpro.booking_stage import SYSTEM, Bookings, open_bookings
from tests.systems.petpro.stage import Stage, open_stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The system of this module."""
    async with open_stage(tmp_path_factory.mktemp("petpro")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stage(running: Stage) -> AsyncIterator[Stage]:
    """The system of this module without rows; at the end no event may be left that nobody could handle."""
    await running.empty()
    yield running
    assert await running.dead_letters() == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def booking_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bookings]:
    """The system of this module, `PLAYED` where it says so, with a gateway that does what it is told."""
    played = getattr(request.module, "PLAYED", SYSTEM)
    async with open_bookings(tmp_path_factory.mktemp("petpro"), of=played) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def play(booking_house: Bookings) -> AsyncIterator[Bookings]:
    """That system without rows; at the end the books agree, and no event is left that nobody could handle."""
    await booking_house.stage.empty()
    booking_house.gateway.forget()
    yield booking_house
    assert await booking_house.stage.dead_letters() == []
    await booking_house.check_books()
