"""Coalesced calls: one transaction decides many, each is answered by itself, on every engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, update

from freehold.model.errors import Unavailable
from freehold.model.problem import Problem
from freehold.model.service import Coalescing, Service
from freehold.runtime import faultpoints
from freehold.runtime.host import Host
from freehold.runtime.transaction import MisuseError, Tx
from tests.conformance.seats import Base, Hall, Reserve, Reserved, Zone, batches, reserve, state
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("coalescing")

DEADLINE = 20


@pytest.fixture
def hall(databases: Databases) -> Hall:
    batches.clear()
    return Hall(databases)


async def call(host: Host, label: str, zone: str = "A", seats: int = 1) -> Any:
    return await host.work().call(reserve, Reserve(zone=zone, label=label, seats=seats))


async def all_of(*calls: Any) -> list[Any]:
    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*calls, return_exceptions=True)


def refused(answers: Sequence[Any]) -> list[Any]:
    return [answer for answer in answers if isinstance(answer, BaseException)]


async def test_two_hundred_callers_get_exactly_the_fifty_seats_there_are(hall: Hall) -> None:
    host = await hall.host(A=50)
    answers = await all_of(*(call(host, f"buyer-{n}") for n in range(200)))
    granted = [answer for answer in answers if isinstance(answer, Reserved)]
    assert sorted(answer.position for answer in granted) == list(range(50))
    assert all(answers[int(answer.label.split("-")[1])] is answer for answer in granted), "each got its own answer"
    assert {answer.code for answer in refused(answers)} == {"INSUFFICIENT_SEATS"}
    assert len(refused(answers)) == 150
    assert await state(host, "A") == (0, 50, 50)
    assert len(batches) <= 5, "200 calls of at most 64 each"
    assert max(map(len, batches)) == 64


async def test_calls_are_decided_and_their_events_numbered_in_the_order_they_came(hall: Hall) -> None:
    host = await hall.host(A=300)
    answers = await all_of(*(call(host, f"buyer-{n}") for n in range(300)))
    assert [answer.position for answer in answers] == list(range(299, -1, -1))
    outbox = host.tables.outbox
    async with host.engine.read() as connection:
        payloads = (await connection.execute(select(outbox.c.payload).order_by(outbox.c.seq))).scalars()
        assert [payload.split('"buyer-')[1].rstrip('"}') for payload in payloads] == [str(n) for n in range(300)]


async def test_two_processes_on_one_row_never_sell_more_than_there_is(hall: Hall) -> None:
    one, two = await hall.host(A=50), await hall.host()
    answers = await all_of(*(call((one, two)[n % 2], f"buyer-{n}") for n in range(200)))
    assert len(refused(answers)) == 150
    assert {answer.code for answer in refused(answers)} == {"INSUFFICIENT_SEATS"}
    assert await state(one, "A") == (0, 50, 50)


@pytest.mark.parametrize("label", ["raise-problem", "raise-error", "twin"])
async def test_a_call_that_fails_its_batch_fails_alone(hall: Hall, label: str) -> None:
    host = await hall.host(A=100)
    await call(host, "twin")  # the label is a primary key: the second one cannot be inserted
    answers = await all_of(*(call(host, label if n == 11 else f"buyer-{n}") for n in range(40)))
    (error,) = refused(answers)
    assert answers.index(error) == 11
    expected = {"raise-problem": Problem, "raise-error": ValueError}.get(label)
    assert isinstance(error, expected) if expected else host.engine.is_duplicate(error)
    assert await state(host, "A") == (60, 40, 40)


async def test_a_problem_that_keeps_commits_for_its_call_alone(hall: Hall) -> None:
    host = await hall.host(A=100)
    answers = await all_of(*(call(host, "keep" if n == 3 else f"buyer-{n}") for n in range(8)))
    (problem,) = refused(answers)
    assert problem is answers[3]
    assert problem.code == "KEPT"
    assert await state(host, "A") == (92, 8, 8), "the kept call's seat is taken, each of the others once"


async def test_too_few_answers_tell_everybody_and_change_nothing(hall: Hall) -> None:
    host = await hall.host(A=100)
    answers = await all_of(*(call(host, "drop" if n == 3 else f"buyer-{n}") for n in range(8)))
    assert all(isinstance(answer, MisuseError) for answer in answers)
    assert "reserve was given 8 calls and returned 7 answers" in str(answers[0])
    assert await state(host, "A") == (100, 0, 0)


async def test_an_unreachable_database_is_told_to_everybody_at_once(hall: Hall) -> None:
    host = await hall.host(A=100)
    tried = []

    def unreachable(point: str) -> None:
        if point == "coalesced.before_commit":
            tried.append(point)
            raise Unavailable("the database is away")

    faultpoints.on_reach = unreachable
    try:
        answers = await all_of(*(call(host, f"buyer-{n}") for n in range(16)))
    finally:
        faultpoints.on_reach = None
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert len(tried) == 1, "no smaller batch is tried"


async def test_a_caller_that_leaves_before_its_batch_leaves_no_trace(hall: Hall) -> None:
    host = await hall.host(A=100)
    started, proceed = asyncio.Event(), asyncio.Event()
    entered = hold_first_batch(host, started, proceed)
    first = asyncio.create_task(entered(0))
    await asyncio.wait_for(started.wait(), DEADLINE)
    waiting = [asyncio.create_task(entered(n)) for n in range(1, 5)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    first.cancel()
    await asyncio.wait([first])
    proceed.set()
    answers = await all_of(*waiting)
    assert [type(answer) for answer in answers] == [int, asyncio.CancelledError, int, int]
    async with host.engine.read() as connection:
        left = await connection.scalar(select(Zone.free).where(Zone.name == "A"))
    assert left == 96, "the first had started, so its effect stays; the one that waited has none"
    await host.coalescer(entered.declared).drain()
    assert not host.coalescer(entered.declared)._lanes


def hold_first_batch(host: Host, started: asyncio.Event, proceed: asyncio.Event, **options: Any) -> Any:
    """A coalesced function that takes one seat for each call and stops in its first batch until it may proceed."""
    service = Service("seats", tables=Base)

    @service.coalesced(key=lambda call: "A", **options)
    async def take(calls: Sequence[int], tx: Tx) -> Sequence[int]:
        connection = await tx.connection()
        row = select(Zone.free).where(Zone.name == "A").with_for_update()
        free = (await connection.execute(row)).scalar_one()
        if not started.is_set():
            started.set()
            await proceed.wait()
        await connection.execute(update(Zone).values(free=free - len(calls)))
        return [len(calls)] * len(calls)

    class Entrance:
        declared: Coalescing = take

        async def __call__(self, n: int) -> Any:
            return await host.work().call(take, n)

    return Entrance()


async def test_calls_gather_while_a_batch_commits_up_to_the_limit(hall: Hall) -> None:
    host = await hall.host(A=100)
    started, proceed = asyncio.Event(), asyncio.Event()
    entered = hold_first_batch(host, started, proceed, max_batch=10)
    first = asyncio.create_task(entered(0))
    await asyncio.wait_for(started.wait(), DEADLINE)
    rest = [asyncio.create_task(entered(n)) for n in range(1, 26)]
    await asyncio.sleep(0)
    proceed.set()
    assert await first == 1, "a call that comes alone is not held up"
    assert await all_of(*rest) == [10] * 20 + [5] * 5


async def test_who_was_just_answered_meets_those_who_waited_meanwhile(hall: Hall) -> None:
    host = await hall.host(A=100)
    started, proceed = asyncio.Event(), asyncio.Event()
    entered = hold_first_batch(host, started, proceed, max_batch=100)

    async def comes_back() -> tuple[int, int]:
        first = await entered(0)
        for _ in range(20):  # the way to the caller and back
            await asyncio.sleep(0)
        return first, await entered(0)

    one = asyncio.create_task(comes_back())
    await asyncio.wait_for(started.wait(), DEADLINE)
    await asyncio.sleep(0.1)  # a batch that takes so long waits longer than those turns of the loop take
    rest = [asyncio.create_task(entered(n)) for n in range(1, 8)]
    await asyncio.sleep(0)
    proceed.set()
    assert await one == (1, 8)
    assert await all_of(*rest) == [8] * 7


async def test_max_wait_is_an_age_and_a_full_batch_waits_no_longer(hall: Hall) -> None:
    host = await hall.host(A=1000)
    proceed = asyncio.Event()
    proceed.set()
    patient = hold_first_batch(host, asyncio.Event(), proceed, max_batch=4, max_wait=3600)
    callers = [asyncio.create_task(patient(n)) for n in range(3)]
    await asyncio.sleep(0.05)
    assert not any(caller.done() for caller in callers)
    callers.append(asyncio.create_task(patient(3)))
    assert await all_of(*callers) == [4] * 4

    aged = hold_first_batch(host, asyncio.Event(), proceed, max_batch=1000, max_wait="60ms").declared
    coalescer = type(host.coalescer(reserve))(host, aged)
    arrivals: list[asyncio.Task[Any]] = []
    async with asyncio.timeout(DEADLINE):
        while not arrivals or not arrivals[0].done():  # faster than any pause that a debounce would wait for
            arrivals.append(asyncio.create_task(coalescer.call(0, host.work().context)))
            await asyncio.sleep(0.005)
    assert 1 < await arrivals[0] < 1000
    await all_of(*arrivals)


async def test_keys_do_not_wait_for_each_other_and_leave_nothing_behind(hall: Hall) -> None:
    host = await hall.host(A=10, B=10)
    await all_of(*(call(host, f"{zone}-{n}", zone) for zone in "AB" for n in range(5)))
    assert {tuple(sorted({label[0] for label in batch})) for batch in batches} == {("A",), ("B",)}
    coalescer = host.coalescer(reserve)
    await coalescer.drain()
    assert not coalescer._lanes
    assert not coalescer._tasks


async def test_shutting_down_answers_who_waits_and_takes_no_more(hall: Hall) -> None:
    host = await hall.host(A=100)
    proceed = asyncio.Event()
    proceed.set()
    patient = hold_first_batch(host, asyncio.Event(), proceed, max_wait=3600)
    waiting = asyncio.create_task(patient(0))
    await asyncio.sleep(0.01)
    coalescer = host.coalescer(patient.declared)
    await asyncio.wait_for(coalescer.drain(), DEADLINE)
    assert not coalescer._lanes, "it has waited for the last batch"
    assert await waiting == 1
    with pytest.raises(Unavailable, match="shutting down"):
        await patient(1)


@on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")
async def test_a_batch_that_loses_a_race_is_repeated(hall: Hall) -> None:
    """Two functions that lock the same two rows in opposite order: one of them is the deadlock's victim."""
    host = await hall.host(A=100, B=100)
    both = asyncio.Barrier(2)
    met: list[str] = []
    service = Service("seats", tables=Base)

    @service.coalesced(key=lambda order: order)
    async def cross(calls: Sequence[tuple[str, str]], tx: Tx) -> Sequence[tuple[str, str]]:
        connection = await tx.connection()
        first, second = calls[0]
        take = update(Zone).values(free=Zone.free - 1)
        await connection.execute(take.where(Zone.name == first))
        if len(met) < 2:
            met.append(first)
            await both.wait()
        await connection.execute(take.where(Zone.name == second))
        return [*calls]

    orders = [("A", "B"), ("B", "A")]
    assert await all_of(*(host.work().call(cross, order) for order in orders)) == orders
    assert await state(host, "A") == (98, 0, 0)
    assert await state(host, "B") == (98, 0, 0)


async def test_its_crash_points_stand_around_the_commit(hall: Hall) -> None:
    host = await hall.host(A=10)
    seen: list[str] = []
    faultpoints.on_reach = seen.append
    try:
        await call(host, "buyer")
    finally:
        faultpoints.on_reach = None
    assert seen == ["coalesced.before_commit", "commit.before", "commit.after", "coalesced.after_commit"]
