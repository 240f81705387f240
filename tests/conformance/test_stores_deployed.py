"""A running system finds its store by type, shares it between processes, and says when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import BaseModel

from freehold import Cache, ConfigurationError, Counters, Gateway, RateLimit, Service, System, public
from freehold.deploy.config import Deployment, read
from freehold.deploy.process import Process
from tests.servers import redis

pytestmark = pytest.mark.guarantee("G9")

desk = Service("desk")


class Seen(BaseModel):
    visits: int


@desk.post("/visits", access=public)
async def visit(cache: Cache, counters: Counters) -> Seen:
    await counters.restore("visits", 0)
    await cache.put("last", b"visit", 60)
    return Seen(visits=await counters.add("visits", 1) or 0)


system = System(
    f"hall_{uuid4().hex[:8]}",
    services=[desk],
    gateway=Gateway(rate_limits=[RateLimit("/visits", per_second=0.001, burst=5)]),
)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    redis().resume()
    redis().flush()
    return redis().url


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def served(stack: AsyncExitStack, folder: Path, store: str) -> httpx.AsyncClient:
    process = await stack.enter_async_context(Process(system, Deployment(data=folder, store=store), timers=False))
    transport = httpx.ASGITransport(process.app)
    return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://hall.test"))


async def test_services_take_the_ports_by_type(stack: AsyncExitStack, tmp_path: Path, store: str) -> None:
    one = await served(stack, tmp_path / "one", store)
    other = await served(stack, tmp_path / "other", store)
    answers = [await each.post("/api/v1/visits") for each in (one, other, one, other, one, other, one)]
    visits = [answer.json().get("visits") for answer in answers]
    if store == "memory://":
        assert visits == [1, 1, 2, 2, 3, 3, 4]
    else:  # what there is, and how often, is for all processes
        assert visits == [1, 2, 3, 4, 5, None, None]
        assert [answer.status_code for answer in answers[5:]] == [429, 429]
        assert answers[6].headers["x-ratelimit-remaining"] == "0"
    assert (await one.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("store", ["redis"], indirect=True)
async def test_readiness_names_the_store_that_is_away(stack: AsyncExitStack, tmp_path: Path, store: str) -> None:
    web = await served(stack, tmp_path, store)
    redis().kill()
    ready = await web.get("/health/ready")
    assert (ready.status_code, ready.json()["missing"]) == (503, {"desk": "is not ready: store"})
    assert (await web.get("/health/live")).status_code == 200
    # Availability first: the gateway goes on limiting, in this process.
    limited = [(await web.post("/api/v1/visits")).status_code for _ in range(6)]
    assert limited == [503] * 5 + [429]
    redis().resume()
    async with asyncio.timeout(10):
        while (await web.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.02)


def test_the_address_is_read_from_the_environment(tmp_path: Path) -> None:
    address = "redis://:hunter2@r/0"
    found = read(system, folder=tmp_path, environment={"FREEHOLD_STORE": address})
    assert found.store == address
    assert "hunter2" not in repr(found)
    with pytest.raises(ConfigurationError, match="memory:// or redis:// or rediss://") as refused:
        read(system, folder=tmp_path, environment={"FREEHOLD_STORE": "memcached://:hunter2@r"})
    assert "hunter2" not in str(refused.value)
