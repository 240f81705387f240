"""Where the benchmarks run: a PostgreSQL server and fresh databases on it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.databases import Databases
from tests.servers import postgres_admin_url


class Place:
    """A server of our own, or the one that FREEHOLD_TEST_POSTGRES names."""

    def __init__(self) -> None:
        self.admin_url = postgres_admin_url()

    @asynccontextmanager
    async def databases(self, kind: str = "postgres-databases") -> AsyncIterator[Databases]:
        """Fresh databases, each with its own role, dropped afterwards."""
        with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
            made = Databases(kind, Path(folder), None if kind == "sqlite" else self.admin_url)
            try:
                yield made
            finally:
                await made.close()
