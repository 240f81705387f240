"""Whole systems have a hundred tables, so their databases are emptied between tests and not made anew."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.databases import Databases, Kept


@pytest.fixture(scope="session")
def kept_of_systems() -> Iterator[dict[str, Kept]]:
    """Apart for each system: services of two may have one name."""
    made: dict[str, Kept] = defaultdict(Kept)
    yield made
    for each in made.values():
        asyncio.run(each.close())


@pytest.fixture
def kept(request: pytest.FixtureRequest, kept_of_systems: dict[str, Kept]) -> Kept:
    """The databases of this system that no test has at the moment."""
    return kept_of_systems[request.path.parent.name]


@pytest.fixture
async def databases(
    engine_kind: str, tmp_path: Path, request: pytest.FixtureRequest, kept: Kept
) -> AsyncIterator[Databases]:
    """Databases of this kind without rows: `engine = await databases.open("booking")`."""
    server = engine_kind.partition("-")[0]
    admin_url = None if server == "sqlite" else request.getfixturevalue(f"{server}_url")
    made = Databases(engine_kind, tmp_path, admin_url, kept)
    yield made
    await made.close()
