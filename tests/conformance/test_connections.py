"""Connections are bounded, however many requests come: fourteen services fit one server, and none waits for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest

from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.process import Process
from freehold.engines.provision import drop_database, drop_role
from freehold.model.ports import ANSWERING, CONNECTIONS
from tests.conformance.ring.system import NAMES, system
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 150
EACH = 2 * CONNECTIONS
"""Requests at a time to every service: many more than it has connections."""
USUAL = 100 - 3
"""A server's max_connections without those for its administrator."""

postgres = on_engines("postgres-schemas", why="it is about what is PostgreSQL's own")
on_a_server = on_engines("postgres-schemas", "mariadb", why="SQLite has no pool")


class Watch:
    """The most connections that each role had at a time, as the server counts them."""

    def __init__(self, admin_url: str) -> None:
        self.most: Counter[str] = Counter()
        self.most_of_all = 0
        self._url = admin_url

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        connection = await asyncpg.connect(self._url)
        task = asyncio.create_task(self._look(connection))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await connection.close()

    async def _look(self, connection: asyncpg.Connection) -> None:
        while True:
            rows = await connection.fetch(
                "SELECT usename, count(*) FROM pg_stat_activity WHERE usename LIKE 'ring%' GROUP BY usename"
            )
            for role, number in rows:
                self.most[role] = max(self.most[role], number)
            self.most_of_all = max(self.most_of_all, sum(number for _, number in rows))
            await asyncio.sleep(0.005)


@pytest.fixture
async def server(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An administrator's address for deployments to make their databases with."""
    monkeypatch.setenv("FREEHOLD_DATABASE_SERVER", postgres_url)
    yield postgres_url
    await drop_database(postgres_url, system.name)
    for name in NAMES:
        await drop_database(postgres_url, f"ring_{name}_db")
        await drop_role(postgres_url, f"ring_{name}")


async def rush(client: httpx.AsyncClient) -> None:
    """Every service is asked by many at once, who wait for the next service with a connection in their hands."""
    answers = await asyncio.gather(
        *(client.post(f"/api/{name}/visits") for name in NAMES for _ in range(EACH)), return_exceptions=False
    )
    assert {answer.status_code for answer in answers} == {201}, Counter(answer.text for answer in answers)


@pytest.mark.parametrize("layout", ["schemas", "databases"])
async def test_fourteen_services_fit_one_server_and_none_waits_for_ever(
    server: str, layout: str, tmp_path: Path
) -> None:
    watch = Watch(server)
    deployment = Deployment(layout=layout, data=tmp_path, rate_limits=False)  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE), watch.watching(), Process(system, deployment) as process:
        transport = httpx.ASGITransport(app=process.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ring", timeout=DEADLINE) as client:
            await rush(client)
            await process.settle()
            seen = [(await client.get(f"/api/{name}/visits")).json()["visits"] for name in NAMES]

    assert seen == [2 * EACH] * len(NAMES), "each visit, and each that the one before told of"
    assert max(watch.most.values()) == CONNECTIONS, "it was a rush"
    assert watch.most_of_all <= len(NAMES) * CONNECTIONS < USUAL


async def test_a_deployment_grants_each_service_its_own_number(server: str, tmp_path: Path) -> None:
    watch = Watch(server)
    own = {"s01": ServiceDeployment(connections=2), "s02": ServiceDeployment(connections=6, workers=2)}
    deployment = Deployment(layout="schemas", data=tmp_path, rate_limits=False, connections=4, services=own)
    async with asyncio.timeout(DEADLINE), watch.watching(), Process(system, deployment) as process:
        transport = httpx.ASGITransport(app=process.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ring", timeout=DEADLINE) as client:
            await rush(client)
            await process.settle()

    assert watch.most["ring_s01"] == 2
    assert watch.most["ring_s02"] == 3, "half of six"
    assert max(watch.most.values()) == 4


@on_a_server
async def test_connections_that_lie_idle_are_closed(databases: Databases) -> None:
    engine = await databases.open("orders", pool_idle=0.2)
    pool = engine._pool  # type: ignore[attr-defined]

    async def hold(all_hold: asyncio.Barrier) -> None:
        async with engine.write():
            await all_hold.wait()

    async with asyncio.timeout(DEADLINE):
        ordinary = CONNECTIONS - CONNECTIONS // 4
        all_hold = asyncio.Barrier(ordinary)
        await asyncio.gather(*(hold(all_hold) for _ in range(ordinary)))
        assert pool._open == ordinary
        while pool._open:
            await asyncio.sleep(0.05)
        await engine.ping()
    assert pool._open == 1


@on_a_server
async def test_who_answers_finds_a_connection_while_all_others_are_held(databases: Databases) -> None:
    engine = await databases.open("orders", pool_size=4)
    held = asyncio.Barrier(4)
    free = asyncio.Event()

    async def hold() -> None:
        async with engine.write():
            await held.wait()
            await free.wait()

    async def answer() -> None:
        ANSWERING.set(True)
        await engine.ping()

    async with asyncio.timeout(DEADLINE):
        holding = [asyncio.create_task(hold()) for _ in range(3)]
        await held.wait()
        waiting = asyncio.create_task(engine.ping())
        await asyncio.gather(*(asyncio.create_task(answer()) for _ in range(20)))
        assert not waiting.done(), "the fourth connection is for answers"
        free.set()
        await asyncio.gather(*holding, waiting)
    assert engine._pool._open <= 4  # type: ignore[attr-defined]
    assert engine._pool._ordinary == 0  # type: ignore[attr-defined]
