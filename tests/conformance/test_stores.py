"""What every store keeps to, in memory and in Redis: one suite for both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from freehold.stores import Claim, Counted, Counters, Outcome, Shelf, Store, open_store
from freehold.stores.cache import MemoryCache
from freehold.stores.counters import ENDED_SECONDS
from freehold.stores.memory_counters import MemoryCounters
from freehold.stores.rate_limits import MemoryRateLimits
from tests.servers import redis_url

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 10.0


class Stores:
    """A system's store as several processes see it."""

    def __init__(self, kind: str, stack: AsyncExitStack) -> None:
        self.url = redis_url() if kind == "redis" else "memory://"
        self.prefix = f"test-{uuid4().hex}"
        self._stack = stack
        self._one: Store | None = None

    async def process(self) -> Store:
        """Another process's store; memory has one process."""
        if self._one is None or self.url != "memory://":
            self._one = await self._stack.enter_async_context(open_store(self.url, self.prefix))
        return self._one


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        yield Stores(request.param, stack)


@pytest.fixture
async def shelf(stores: Stores) -> Shelf:
    return (await stores.process()).shelf("orders")


async def left(counters: Counters, names: list[str]) -> dict[str, int]:
    return {name: level.left for name, level in (await counters.levels(names)).items()}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():
            await asyncio.sleep(0.005)


# --- store ------------------------------------------------------------------------------------------------------------


async def test_each_owner_has_keys_of_its_own(stores: Stores) -> None:
    store = await stores.process()
    orders, stock = store.shelf("orders"), store.shelf("stock")
    await orders.cache.put("a", b"orders'", 60)
    assert await stock.cache.get("a") is None
    await orders.counters.set("a", 1, 1)
    assert await left(stock.counters, ["a"]) == {}
    assert store.shelf("orders") is orders
    await store.ping()


async def test_processes_share(stores: Stores) -> None:
    one, other = (await stores.process()).shelf("orders"), (await stores.process()).shelf("orders")
    await one.cache.put("a", b"1", 60)
    assert await other.cache.get("a") == b"1"
    await one.line.join("l", "first")
    assert (await other.line.join("l", "second")).position == 2


# --- cache ------------------------------------------------------------------------------------------------------------


async def test_cache(shelf: Shelf) -> None:
    cache = shelf.cache
    assert await cache.get("a") is None
    await cache.put("a", b"\x00\xff", 60)
    await cache.put_many({"b": b"2", "ü c": b""}, 60)
    assert await cache.get("a") == b"\x00\xff"
    assert await cache.get_many(["a", "x", "b", "ü c"]) == {"a": b"\x00\xff", "b": b"2", "ü c": b""}
    await cache.put("a", b"new", 60)
    await cache.forget("b", "never there")
    assert await cache.get_many(["a", "b"]) == {"a": b"new"}
    await cache.put("a", b"no time", 0)
    assert await cache.get("a") is None
    await cache.put_many({}, 60)
    await cache.forget()
    assert await cache.get_many([]) == {}


async def test_what_is_cached_lapses(shelf: Shelf) -> None:
    await shelf.cache.put("a", b"1", 0.2)
    assert await shelf.cache.get("a") == b"1"

    async def gone() -> bool:
        return await shelf.cache.get("a") is None

    await until(gone)


async def test_many_who_miss_load_once(shelf: Shelf) -> None:
    made, go = 0, asyncio.Event()

    async def make() -> bytes:
        nonlocal made
        made += 1
        await go.wait()
        return b"made"

    callers = [asyncio.create_task(shelf.cache.load("a", make, 60)) for _ in range(20)]

    async def one_makes() -> bool:
        return made > 0

    await until(one_makes)
    callers[0].cancel()  # whoever came first leaves
    go.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert answers[1:] == [b"made"] * 19
    assert isinstance(answers[0], asyncio.CancelledError)
    assert (made, await shelf.cache.get("a")) == (1, b"made")


async def test_what_was_forgotten_meanwhile_is_not_kept(shelf: Shelf) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def make() -> bytes:
        began.set()
        await go.wait()
        return b"old"

    async def fresh() -> bytes:
        return b"new"

    loading = asyncio.create_task(shelf.cache.load("a", make, 60))
    await began.wait()
    await shelf.cache.forget("a")
    assert await shelf.cache.load("a", fresh, 60) == b"new"
    go.set()
    assert await loading == b"old"
    assert await shelf.cache.get("a") == b"new"


async def test_a_load_that_fails_is_not_kept(shelf: Shelf) -> None:
    async def fail() -> bytes:
        raise LookupError("not there")

    async def make() -> bytes:
        return b"there"

    with pytest.raises(LookupError):
        await shelf.cache.load("a", fail, 60)
    assert await shelf.cache.load("a", make, 60) == b"there"


async def test_memory_is_bounded() -> None:
    cache = MemoryCache(size=30)
    for key in "abc":
        await cache.put(key, b"123456789", 60)
    await cache.get("a")
    await cache.put("d", b"123456789", 60)
    assert sorted(await cache.get_many("abcd")) == ["a", "c", "d"]  # b was unused for longest
    await cache.put("e", b"x" * 100, 60)
    assert await cache.get_many("abcde") == {}
    await cache.put("f", b"1", 60)
    assert await cache.get("f") == b"1"


# --- rate limits ------------------------------------------------------------------------------------------------------


async def test_buckets_empty_and_fill(shelf: Shelf) -> None:
    limits = shelf.rate_limits
    taken = [await limits.take("a", 0.001, 3) for _ in range(4)]
    assert [verdict.allowed for verdict in taken] == [True, True, True, False]
    assert [verdict.remaining for verdict in taken] == [2, 1, 0, 0]
    assert taken[3].retry_after == pytest.approx(1000, rel=0.02)
    assert taken[3].full_after == pytest.approx(3000, rel=0.02)
    assert (await limits.take("b", 0.001, 3)).allowed

    async def fills() -> bool:
        return (await limits.take("c", 20, 1)).allowed

    assert await fills()
    began = time.monotonic()
    assert not await fills()
    await until(fills)
    assert 0.03 < time.monotonic() - began < 5


async def test_processes_share_a_bucket(stores: Stores) -> None:
    shelves = [(await stores.process()).shelf("gateway") for _ in range(3)]
    verdicts = await asyncio.gather(*(each.rate_limits.take("a", 0.001, 10) for each in shelves for _ in range(10)))
    assert sum(verdict.allowed for verdict in verdicts) == 10


async def test_memory_fills_by_its_clock() -> None:
    now = 0.0
    limits = MemoryRateLimits(now=lambda: now)
    assert [(await limits.take("a", 2, 2)).allowed for _ in range(3)] == [True, True, False]
    now = 0.5
    assert [(await limits.take("a", 2, 2)).allowed for _ in range(2)] == [True, False]


# --- counters ---------------------------------------------------------------------------------------------------------


async def test_a_claim_from_reserved_to_given_back(shelf: Shelf) -> None:
    counters = shelf.counters
    assert await counters.restore("zone", 5)
    assert not await counters.restore("zone", 99)
    assert await counters.reserve("zone", "c1", 2, holder="u", limit=4) == Counted(Outcome.DONE, 3)
    assert await counters.reserve("zone", "c1", 2, holder="u", limit=4) == Counted(Outcome.ALREADY_RESERVED, 3)
    assert await counters.give_back("c1") == Counted(Outcome.NOT_CONFIRMED, 3)
    assert await counters.confirm("c1") == Counted(Outcome.DONE, 3)
    assert await counters.confirm("c1") == Counted(Outcome.ALREADY_CONFIRMED, 3)
    assert await counters.release("c1") == Counted(Outcome.ALREADY_CONFIRMED, 3)
    assert await counters.held("u") == 2
    assert await counters.give_back("c1") == Counted(Outcome.DONE, 5)
    assert await counters.give_back("c1") == Counted(Outcome.ALREADY_RELEASED, 5)
    assert await counters.release("c1") == Counted(Outcome.ALREADY_RELEASED, 5)
    assert await counters.confirm("c1") == Counted(Outcome.ALREADY_RELEASED, 5)
    assert await counters.reserve("zone", "c1", 1) == Counted(Outcome.ALREADY_RELEASED, 5)
    assert await counters.held("u") == 0


async def test_refusals_change_nothing(shelf: Shelf) -> None:
    counters = shelf.counters
    assert await counters.reserve("zone", "c1", 1) == Counted(Outcome.UNKNOWN_COUNTER, None)
    assert await counters.release("c1") == Counted(Outcome.UNKNOWN_CLAIM, None)
    assert await counters.confirm("c1") == Counted(Outcome.UNKNOWN_CLAIM, None)
    assert await counters.add("zone", 3) is None
    await counters.restore("zone", 5)
    assert await counters.reserve("zone", "c1", 6, holder="u", limit=1) == Counted(Outcome.TOO_FEW, 5)
    assert await counters.reserve("zone", "c1", 2, holder="u", limit=1) == Counted(Outcome.OVER_LIMIT, 5)
    assert await counters.reserve("zone", "c1", 1, holder="u", limit=1) == Counted(Outcome.DONE, 4)
    assert await counters.reserve("zone", "c2", 1, holder="u", limit=1) == Counted(Outcome.OVER_LIMIT, 4)
    assert await left(counters, ["zone", "elsewhere"]) == {"zone": 4}
    with pytest.raises(ValueError, match="quantity"):
        await counters.reserve("zone", "c3", 0)
    with pytest.raises(ValueError, match="limit"):
        await counters.reserve("zone", "c3", 1, limit=1)


async def test_an_absent_counter_is_rebuilt_with_its_claims(shelf: Shelf) -> None:
    counters = shelf.counters
    await counters.restore("zone", 10)
    await counters.reserve("zone", "old", 3, holder="u")
    await counters.forget(counters=["zone"])
    assert await counters.release("old") == Counted(Outcome.DONE, None)
    truth = [Claim("old", 3, "u"), Claim("new", 2, "u", "confirmed"), Claim("nobody's", 1)]
    assert await counters.restore("zone", 7, [*truth, *(Claim(f"more-{n}", 1, "v") for n in range(1200))])
    assert await counters.held("u") == 2  # the old claim was known, and had ended
    assert await counters.held("v") == 1200
    assert await counters.confirm("nobody's") == Counted(Outcome.DONE, 7)
    assert await counters.give_back("new") == Counted(Outcome.DONE, 9)
    assert await counters.release("more-1199") == Counted(Outcome.DONE, 10)
    assert await counters.add("zone", -2) == 8
    await counters.forget(counters=["zone"], claims=["more-0"], holders=["v"])
    assert await left(counters, ["zone"]) == {}
    assert await counters.held("v") == 0
    assert (await counters.release("more-0")).outcome is Outcome.UNKNOWN_CLAIM
    await counters.forget()
    assert await left(counters, []) == {}


async def test_a_counter_follows_the_highest_version(shelf: Shelf) -> None:
    counters, version = shelf.counters, 2**53 - 10
    assert await counters.set("zone", 5, version)
    assert not await counters.set("zone", 9, version - 1)
    assert await counters.set("zone", 4, version)
    assert await counters.set("zone", 3, version + 1)
    assert await left(counters, ["zone"]) == {"zone": 3}
    await counters.restore("other", 8)
    assert await counters.set("other", 1, 1)
    assert await left(counters, ["other"]) == {"other": 1}


async def test_the_last_one_goes_to_one(stores: Stores) -> None:
    shelves = [(await stores.process()).shelf("orders") for _ in range(3)]
    await shelves[0].counters.restore("zone", 7)
    answers = await asyncio.gather(
        *(shelves[n % 3].counters.reserve("zone", f"c{n}", 1, holder=f"u{n % 20}", limit=2) for n in range(200))
    )
    granted = [n for n, answer in enumerate(answers) if answer.done]
    assert len(granted) == 7
    ends = await asyncio.gather(*(each.counters.release(f"c{n}") for n in granted for each in shelves))
    assert sum(end.done for end in ends) == 7
    assert await left(shelves[1].counters, ["zone"]) == {"zone": 7}


async def test_memory_forgets_claims_that_ended_a_week_ago() -> None:
    now = 0.0
    counters = MemoryCounters(now=lambda: now)
    await counters.restore("zone", 5)
    for claim in ("ended", "open"):
        await counters.reserve("zone", claim, 1)
    await counters.release("ended")
    now = ENDED_SECONDS
    await counters.reserve("zone", "later", 1)
    assert (await counters.release("ended")).outcome is Outcome.UNKNOWN_CLAIM
    assert (await counters.release("open")).done


# --- line -------------------------------------------------------------------------------------------------------------


async def test_first_come_first_served(shelf: Shelf) -> None:
    line = shelf.line
    assert await line.total("l") == 0
    assert await line.pop("l", 3) == []
    places = [await line.join("l", member) for member in "cab"]
    assert [(place.position, place.total, place.joined) for place in places] == [
        (1, 1, True),
        (2, 2, True),
        (3, 3, True),
    ]
    again = await line.join("l", "c")
    assert (again.position, again.total, again.joined) == (1, 3, False)
    assert [await line.position("l", member) for member in "abcx"] == [2, 3, 1, None]
    assert await line.leave("l", "a")
    assert not await line.leave("l", "a")
    assert (await line.join("l", "a")).position == 3
    assert await line.pop("l", 0) == []
    assert await line.pop("l", 2) == ["c", "b"]
    assert await line.pop("l", 2) == ["a"]
    assert await line.position("l", "a") is None
    assert (await line.join("l", "a")).position == 1
    await line.forget("l")
    assert await line.total("l") == 0


async def test_a_line_is_rebuilt_before_those_who_joined_meanwhile(shelf: Shelf) -> None:
    line = shelf.line
    for member in ("new", "b"):
        await line.join("l", member)
    members = [f"m{n}" for n in range(3000)]
    await line.restore("l", ["b", *members])
    await line.restore("l", [])
    assert await line.total("l") == 3002
    assert await line.pop("l", 3) == ["b", "m0", "m1"]
    assert await line.position("l", "new") == 2999
    assert (await line.join("l", "newer")).position == 3000


async def test_everybody_is_popped_once(stores: Stores) -> None:
    shelves = [(await stores.process()).shelf("orders") for _ in range(3)]
    await asyncio.gather(*(shelves[n % 3].line.join("l", f"m{n % 100}") for n in range(200)))
    popped = await asyncio.gather(*(each.line.pop("l", 7) for each in shelves for _ in range(6)))
    assert sorted(member for some in popped for member in some) == sorted(f"m{n}" for n in range(100))
