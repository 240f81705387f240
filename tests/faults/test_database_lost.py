"""A database server goes away under load, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from systems.booking_rush.system import system
from tests.databases import Databases
from tests.faults.site import Crowd, Site, open_site
from tests.faults.test_crashes import until_quiet
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import Postgres
from tests.systems.booking_rush.books import Books

EVERYBODY = {service.name for service in system.services}
DEADLINE = 30


SERVERS = {"postgres-databases": Postgres, "mariadb": MariaDB}


@pytest.fixture
def server(kind: str) -> Iterator[Postgres | MariaDB]:
    """A server of this test's own, since it is stopped under way."""
    server = SERVERS[kind]()
    yield server
    server.close()


@pytest.mark.parametrize(("kind", "ends"), [("postgres-databases", "pause"), ("mariadb", "pause"), ("mariadb", "kill")])
async def test_a_database_that_comes_back_has_cost_nothing(
    kind: str, ends: str, server: Postgres | MariaDB, tmp_path: Path
) -> None:
    databases = Databases(kind, tmp_path, server.url)
    async with open_site(databases, tmp_path, buyers=60, seats=(50, 40)) as site:
        await site.start()
        alive = asyncio.create_task(site.keep_alive())
        crowd = Crowd(site)
        rush = asyncio.create_task(crowd.rush())
        books: Books | None = None
        try:
            await _until(lambda: len(crowd.granted) >= 10, rush)
            await asyncio.to_thread(getattr(server, ends))
            await _without_database(site)
            await asyncio.to_thread(server.resume)
            await rush
            await _until_ready(site)
            books = await Books.open(databases, tmp_path)
            await until_quiet(books, alive)
        except BaseException as error:
            error.add_note("The process said:\n" + "".join(site.output[-80:]))
            raise
        finally:
            alive.cancel()
            rush.cancel()
            await asyncio.gather(alive, rush, return_exceptions=True)
        await site.stop()
        assert site.deaths == []  # it was the same process all along
        assert await books.faults(set(crowd.granted), crowd.compensated) == []
        assert crowd.outcomes["succeeded"] > 0
    await databases.close()


async def _without_database(site: Site) -> None:
    """What the system answers meanwhile."""
    event, buyer = site.event, site.buyers[0]
    wish = {
        "event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"], "quantity": 1,
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=site.base, timeout=15) as http:
        keyed = {**buyer, "Idempotency-Key": "meanwhile"}
        answers = [
            await http.get("/api/v1/events"),
            await http.get("/api/v1/bookings", headers=buyer),
            await http.post("/api/v1/bookings/reserve", json=wish, headers=keyed),
            await http.post("/api/v1/saga/bookings", json={**wish, "total_price": 3000}, headers=keyed),
            await http.post("/api/v1/auth/login", json={"email": "a@example.com", "password": "Test123!"}),
        ]
        ready, live = await http.get("/health/ready"), await http.get("/health/live")
        wrong = (await http.post("/api/v1/bookings/reserve", json={}, headers=keyed)).json()
    for answer in answers:
        assert answer.status_code == 503, (answer.request.url, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
        assert answer.headers["retry-after"] == "1"
        assert not any(
            word in answer.text.lower()
            for word in ("postgres", "asyncpg", "asyncmy", "sql", "mariadb", "connection", "traceback")
        )
    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json()["missing"] == dict.fromkeys(EVERYBODY, "is not ready: database")
    assert wrong["code"] != "SERVICE_UNAVAILABLE"  # what needs no database is answered as ever


async def _until_ready(site: Site) -> None:
    async with asyncio.timeout(DEADLINE), httpx.AsyncClient(base_url=site.base) as http:
        while (await http.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.1)


async def _until(reached: Callable[[], bool], task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not reached():
            assert not task.done(), "the crowd was done before its database was lost"
            await asyncio.sleep(0.005)
