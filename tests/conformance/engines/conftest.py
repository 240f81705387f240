from __future__ import annotations

import pytest

from freehold.model.ports import Engine
from tests.conformance.engines.tables import Base
from tests.databases import Databases


@pytest.fixture
async def engine(databases: Databases) -> Engine:
    """A service's engine with the suite's tables."""
    engine = await databases.open("orders")
    await engine.create(Base.metadata)
    return engine
