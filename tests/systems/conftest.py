"""Whole systems have a hundred tables, so their databases are emptied between tests and not made anew."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.databases import Databases, Kept


@pytest.fixture(scope="session")
def kept() -> Iterator[dict[str, Kept]]:
    """The databases that no test has at the moment, of each system: services of two may have one name."""
    made: dict[str, Kept] = defaultdict(Kept)
    yield made
    for each in made.values():
        asyncio.run(each.close())


@pytest.fixture
async def databases(
    engine_kind: str, tmp_path: Path, request: pytest.FixtureRequest, kept: dict[str, Kept]
) -> AsyncIterator[Databases]:
    """Databases of this kind without rows: `engine = await databases.open("booking")`."""
    server = engine_kind.partition("-")[0]
    admin_url = None if server == "sqlite" else request.getfixturevalue(f"{server}_url")
    made = Databases(engine_kind, tmp_path, admin_url, kept[request.path.parent.name])
    yield made
    await made.close()
