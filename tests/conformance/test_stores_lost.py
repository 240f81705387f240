"""A Redis that is killed, stopped, frozen, flushed or full, and addresses that lead nowhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from freehold.model.errors import ConfigurationError, StoreUnavailable
from freehold.stores import Counters, Outcome, Shelf, Store, open_store
from tests.servers import redis
from tests.servers.private import free_port

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 10.0
PATIENCE = 10.0
"""Seconds for over five hundred calls, whatever Redis does: those that waited for it would take as many."""


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    redis().resume()
    async with open_store(redis().url, f"test-{uuid4().hex}") as opened:
        await opened.ping()
        yield opened
    redis().resume()


async def until_it_answers(store: Store) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await store.ping()
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def left(counters: Counters, names: list[str]) -> dict[str, int]:
    return {name: level.left for name, level in (await counters.levels(names)).items()}


@contextmanager
def killed() -> Any:
    redis().kill()
    yield
    redis().resume()


async def make() -> bytes:
    return b"made"


async def check_that_nobody_waits(store: Store) -> None:
    """What each port does while the store is away. One that was only frozen may still do what it was asked."""
    shelf: Shelf = store.shelf("orders")
    began = time.monotonic()
    assert await shelf.cache.get("a") is None
    await shelf.cache.put("a", b"2", 60)
    await shelf.cache.forget("b")
    assert await shelf.cache.load("a", make, 60) == b"made"
    verdicts = [await shelf.rate_limits.take("a", 0.001, 3) for _ in range(4)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    calls: list[Callable[[], Awaitable[object]]] = [
        store.ping,
        lambda: shelf.counters.reserve("other", "c0", 1),
        lambda: shelf.counters.confirm("c0"),
        lambda: shelf.counters.release("c0"),
        lambda: shelf.counters.levels(["other"]),
        lambda: shelf.counters.held("u"),
        lambda: shelf.counters.add("other", 1),
        lambda: shelf.counters.restore("other", 1),
        lambda: shelf.counters.set("other", 1, 1),
        lambda: shelf.line.join("l", "m"),
        lambda: shelf.line.position("l", "m"),
        lambda: shelf.line.pop("l", 1),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            await call()
    many = await asyncio.gather(*(shelf.cache.get("a") for _ in range(500)))
    assert many == [None] * 500
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_redis_that_is_away_and_comes_back(store: Store, how: str) -> None:
    shelf = store.shelf("orders")
    await shelf.cache.put("a", b"1", 60)
    await shelf.counters.restore("zone", 5)
    with killed() if how == "killed" else redis().frozen():
        await check_that_nobody_waits(store)
    await until_it_answers(store)
    kept = how == "frozen"
    assert (await left(shelf.counters, ["zone"]) == {"zone": 5}) == kept
    await shelf.cache.put("a", b"3", 60)
    assert await shelf.cache.get("a") == b"3"
    assert (await shelf.counters.reserve("zone", "c1", 1)).outcome is (
        Outcome.DONE if kept else Outcome.UNKNOWN_COUNTER
    )


async def test_a_flush_in_the_middle_is_told_and_mended(store: Store) -> None:
    """Under load, twice: nobody gets what the truth, kept here, does not have; it is rebuilt, and sells on."""
    counters, total, bought, lost = store.shelf("orders").counters, 2000, 0, 0
    await counters.restore("zone", total)
    mending = asyncio.Lock()

    async def mend(epoch: int) -> None:
        nonlocal lost
        async with mending:
            if lost == epoch:
                lost += 1
                await counters.restore("zone", total - bought)

    async def buy(name: str) -> None:
        nonlocal bought
        for n in range(40):
            epoch = lost
            async with mending:  # the truth's own lock: it is written where the counter was asked
                answer = await counters.reserve("zone", f"{name}-{n}", 1)
                bought += answer.done
            if answer.outcome is Outcome.UNKNOWN_COUNTER:
                await mend(epoch)

    async def flush() -> None:
        for share in (300, 600):
            while bought < share:
                await asyncio.sleep(0)
            await asyncio.to_thread(redis().flush)

    await asyncio.gather(flush(), *(buy(f"b{n}") for n in range(25)))
    assert lost == 2
    assert bought >= 1000 - 2 * 25
    assert await left(counters, ["zone"]) == {"zone": total - bought}


async def test_load_goes_on_while_redis_is_killed_and_started(store: Store) -> None:
    """Claims that were answered are counted; those whose answer was lost can be repeated under the same name."""
    shelf, stop, slowest, answers = store.shelf("orders"), asyncio.Event(), 0.0, {"served": 0, "refused": 0}
    counters = shelf.counters
    await counters.restore("zone", 10**6)

    async def client(name: str) -> None:
        nonlocal slowest
        n = 0
        while not stop.is_set():
            n += 1
            began = time.monotonic()
            try:
                await counters.reserve("zone", f"{name}-{n}", 1)
                answers["served"] += 1
            except StoreUnavailable:
                answers["refused"] += 1
            await shelf.cache.load("a", make, 0.05)
            await shelf.rate_limits.take(name, 10, 10)
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.002)

    clients = [asyncio.create_task(client(f"b{n}")) for n in range(60)]
    for outage in (redis().kill, redis().pause):
        served = answers["served"]
        async with asyncio.timeout(DEADLINE):
            while answers["served"] < served + 200:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(outage)
        refused = answers["refused"]
        async with asyncio.timeout(DEADLINE):
            while answers["refused"] < refused + 200:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(redis().resume)
        await until_it_answers(store)
        await counters.restore("zone", 10**6)
    stop.set()
    await asyncio.gather(*clients)
    assert slowest < PATIENCE


async def test_a_redis_that_is_full_or_refuses_is_away(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    redis().say("CONFIG", "SET", "maxmemory", "1")
    try:
        shelf = store.shelf("orders")
        await shelf.cache.put("a", b"1", 60)
        assert await shelf.cache.get("a") is None
        with pytest.raises(StoreUnavailable):
            await shelf.counters.restore("zone", 5)
        assert (await shelf.rate_limits.take("a", 1, 1)).allowed
    finally:
        redis().say("CONFIG", "SET", "maxmemory", "0")
    assert await shelf.counters.restore("zone", 5)
    assert "maxmemory" in caplog.text


async def test_a_wrong_password_is_told_without_it(caplog: pytest.LogCaptureFixture) -> None:
    redis().resume()
    async with open_store(redis().url.replace("redis://:", "redis://:wrong-"), "test") as store:
        with pytest.raises(StoreUnavailable) as refused:
            await store.ping()
        assert await store.shelf("orders").cache.get("a") is None
    password = urlsplit(redis().url).password or ""
    assert password not in f"{caplog.text}{refused.value}{refused.value.__cause__}{store!r}"
    assert "Redis is away" in caplog.text


async def test_tls() -> None:
    redis().resume()
    async with open_store(f"{redis().tls_url}?ca={redis().authority}", f"test-{uuid4().hex}") as store:
        await store.ping()
        await store.shelf("orders").cache.put("a", b"1", 60)
        assert await store.shelf("orders").cache.get("a") == b"1"
    async with open_store(redis().tls_url, "test") as store:  # an authority that nobody here trusts
        with pytest.raises(StoreUnavailable):
            await store.ping()


async def test_nobody_is_there() -> None:
    async with open_store(f"redis://127.0.0.1:{free_port()}", "test") as store:
        await check_that_nobody_waits(store)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("memcached://h", "memory:// or redis:// or rediss://"),
        ("", "memory:// or redis:// or rediss://"),
        ("redis://u:hunter2@h:many/0", "redis://user:password@host:port/db"),
        ("redis://u:hunter2@h/zero", "redis://user:password@host:port/db"),
        ("redis://u:hunter2@h/0?ca", "redis://user:password@host:port/db"),
        ("redis://u:hunter2@h/0?timeout=soon", "redis://user:password@host:port/db"),
        ("redis://u:hunter2@h/0?timeout=0", "redis://user:password@host:port/db"),
        ("redis://u:hunter2@h/0?tries=1", "'tries'"),
    ],
)
def test_addresses_that_cannot_be_right(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match="store") as refused:
        open_store(url, "test")
    assert problem in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "redis" or ".stores.redis" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"freehold\[redis\]"):
        open_store("redis://localhost", "test")
