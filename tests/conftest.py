"""Fixtures that several suites share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import KINDS, Databases
from tests.servers import postgres_admin_url


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """An administrator's URL of a PostgreSQL server."""
    return postgres_admin_url()


@pytest.fixture(params=KINDS)
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Each way to keep services' data apart."""
    kind: str = request.param
    return kind


@pytest.fixture
async def databases(engine_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Databases]:
    """Fresh databases of this kind: `engine = await databases.open("orders")`."""
    admin_url = None if engine_kind == "sqlite" else request.getfixturevalue("postgres_url")
    made = Databases(engine_kind, tmp_path, admin_url)
    yield made
    await made.close()
