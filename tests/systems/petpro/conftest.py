"""One running system for each module, emptied before each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

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
