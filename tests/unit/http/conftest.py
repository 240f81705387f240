"""The library system for each test, on SQLite files of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.engines import open_engine
from tests.unit.http.library import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(lambda service: open_engine(f"sqlite:///{tmp_path / service}.db"))
    await made.start()
    yield made
    await made.stop()
