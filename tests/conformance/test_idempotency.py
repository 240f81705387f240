"""G10: a repeated request gets the first answer and has no second effect, on every engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import select, update

from freehold.model.errors import DeclarationError
from freehold.model.problem import Problem
from freehold.model.service import Service
from freehold.runtime import faultpoints
from freehold.runtime.host import Host
from freehold.runtime.idempotency import IdempotencySettings
from freehold.runtime.once import KeyRefused, Once, Stored
from freehold.runtime.transaction import Tx
from tests.conformance.seats import (
    Base,
    Hall,
    Hold,
    Reserve,
    Reserved,
    SeatHeld,
    Zone,
    batches,
    once,
    records,
    reserve,
    state,
)
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G10")

DEADLINE = 20
Handler = Callable[[Tx], Awaitable[Stored]]


@pytest.fixture
def hall(databases: Databases) -> Hall:
    batches.clear()
    return Hall(databases)


def take(label: str = "", *, status: int = 201) -> Handler:
    """An ordinary route's handler: takes a seat of zone A, publishes, answers what is left."""

    async def handler(tx: Tx) -> Stored:
        zone = await tx.get(Zone, "A", lock=True)
        assert zone is not None
        zone.free -= 1
        tx.add(Hold(label=label or f"hold-{zone.free}", zone="A", position=zone.free))
        tx.publish(SeatHeld(zone="A", label=label))
        return Stored(status, json.dumps({"left": zone.free, "ü": "é"}).encode())

    return handler


async def answer(host: Host, key: Once, handler: Handler) -> Stored:
    return await host.idempotency.answer(host.work(), key, handler)


@contextmanager
def dying_at(point: str) -> Iterator[None]:
    """Reaching the point ends everything there, as far as a test in the same process can tell."""

    def crash(reached: str) -> None:
        if reached == point:
            raise ConnectionAbortedError("the process died")

    faultpoints.on_reach = crash
    try:
        yield
    finally:
        faultpoints.on_reach = None


async def outcome(request: Awaitable[Any]) -> Any:
    """What a request came to; a Problem as (status, code)."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await request
    except Problem as problem:
        return problem.status, problem.code


# --- one transaction --------------------------------------------------------------------------------------------------


async def test_a_repeated_request_gets_the_first_answer_and_has_no_second_effect(hall: Hall) -> None:
    host = await hall.host(A=10)
    first, second = once("k"), once("k")
    stored = await answer(host, first, take())
    assert not first.replayed
    assert await answer(host, second, take()) == stored == Stored(201, b'{"left": 9, "\\u00fc": "\\u00e9"}')
    assert second.replayed
    assert await state(host, "A") == (9, 1, 1)


async def test_another_body_is_refused_and_another_users_key_is_another(hall: Hall) -> None:
    host = await hall.host(A=10)
    await answer(host, once("k", b"one"), take())
    assert await outcome(answer(host, once("k", b"two"), take())) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (await answer(host, once("k", b"two", scope="bob"), take())).status == 201
    assert await state(host, "A") == (8, 2, 2)


async def test_ten_at_once_have_one_effect(hall: Hall) -> None:
    host = await hall.host(A=10)
    answers = await asyncio.gather(*(outcome(answer(host, once("k"), take())) for _ in range(10)))
    given = [each for each in answers if each != (409, "REQUEST_IN_PROGRESS")]
    assert given == [given[0]] * len(given), "who comes when the first is done gets its answer"
    assert given[0].status == 201
    assert await state(host, "A") == (9, 1, 1)
    assert (await answer(host, once("k"), take())).status == 201


async def test_while_the_first_runs_another_body_is_another_request(hall: Hall) -> None:
    host = await hall.host(A=10)
    running, proceed = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(answer(host, once("k", b"one"), stopping(running, proceed)))
    await asyncio.wait_for(running.wait(), DEADLINE)
    assert await outcome(answer(host, once("k", b"two"), take())) == (422, "IDEMPOTENCY_KEY_REUSED")
    proceed.set()
    assert (await first).status == 201
    assert not host.idempotency._running


def stopping(running: asyncio.Event, proceed: asyncio.Event) -> Handler:
    """A handler that has opened its transaction, and waits in it."""

    async def handler(tx: Tx) -> Stored:
        await tx.scalar(select(Zone.free))
        running.set()
        await proceed.wait()
        return await take()(tx)

    return handler


async def test_two_processes_at_once_have_one_effect(hall: Hall) -> None:
    one, two = await hall.host(A=10), await hall.host()
    answers = await asyncio.gather(*(outcome(answer((one, two)[n % 2], once("k"), take())) for n in range(10)))
    stored = [given for given in answers if isinstance(given, Stored)]
    assert stored.count(stored[0]) == len(stored) >= 1
    assert answers.count((409, "REQUEST_IN_PROGRESS")) == 10 - len(stored)
    assert await state(one, "A") == (9, 1, 1)


@on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")
async def test_while_it_runs_in_another_process_it_is_in_progress(hall: Hall) -> None:
    one, two = await hall.host(A=10), await hall.host()
    running, proceed = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(answer(one, once("k"), stopping(running, proceed)))
    await asyncio.wait_for(running.wait(), DEADLINE)
    assert await outcome(answer(two, once("k"), take())) == (409, "REQUEST_IN_PROGRESS")
    assert (await outcome(answer(two, once("other"), take()))).status == 201
    proceed.set()
    assert (await first).status == 201
    assert await state(one, "A") == (8, 2, 2)


async def test_a_request_that_another_process_overtook_gives_its_answer(hall: Hall) -> None:
    """Before it opened its own transaction, the other had looked, run and committed."""
    one, two = await hall.host(A=10), await hall.host()

    async def overtaken(tx: Tx) -> Stored:
        if not batches:
            batches.append([])
            await answer(two, once("k"), take("first"))
        return await take("second")(tx)

    repeated = once("k")
    assert (await answer(one, repeated, overtaken)).body.startswith(b'{"left": 9')
    assert repeated.replayed
    assert await state(one, "A") == (9, 1, 1)


async def test_a_refusal_by_what_the_first_one_changed_is_answered_with_the_first_answer(hall: Hall) -> None:
    one, two = await hall.host(A=10), await hall.host()

    async def overtaken(tx: Tx) -> Stored:
        await answer(two, once("k"), take("first"))
        raise Problem(409, "ALREADY_THERE", "the first one has it")

    assert (await answer(one, once("k"), overtaken)).status == 201


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
async def test_a_crash_around_the_commit_leaves_both_effect_and_record_or_neither(hall: Hall, point: str) -> None:
    host = await hall.host(A=10)
    with dying_at(point), pytest.raises(ConnectionAbortedError):
        await answer(host, once("k"), take())
    survived = int(point == "commit.after")
    assert await state(host, "A") == (10 - survived, survived, survived)
    assert len(await records(host)) == survived
    repeated = once("k")
    assert (await answer(host, repeated, take())).body.startswith(b'{"left": 9')
    assert repeated.replayed == bool(survived)
    assert await state(host, "A") == (9, 1, 1)


@pytest.mark.parametrize("keep", [False, True])
async def test_a_refusal_is_the_answer_too(hall: Hall, keep: bool) -> None:
    host = await hall.host(A=10)

    async def refusing(tx: Tx) -> Stored:
        await take("refused")(tx)
        raise Problem(409, "SALE_NOT_OPEN", "come back at noon", keep=keep, opens="12:00")

    assert await outcome(answer(host, once("k"), refusing)) == (409, "SALE_NOT_OPEN")
    assert await state(host, "A") == ((9, 1, 1) if keep else (10, 0, 0))
    again = await answer(host, once("k"), take())
    assert again.status == 409
    assert json.loads(again.body)["opens"] == "12:00"
    assert await state(host, "A") == ((9, 1, 1) if keep else (10, 0, 0))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_answer_that_asks_to_try_again_is_not_kept(hall: Hall, status: int) -> None:
    host = await hall.host(A=10)

    async def failing(tx: Tx) -> Stored:
        await take("failed")(tx)
        raise Problem(status, "NOT_NOW", "try again")

    assert await outcome(answer(host, once("k"), failing)) == (status, "NOT_NOW")
    assert await records(host) == []
    assert (await answer(host, once("k"), take())).status == 201
    assert await state(host, "A") == (9, 1, 1)


async def test_a_handlers_own_duplicate_is_raised(hall: Hall) -> None:
    host = await hall.host(A=10)
    await answer(host, once("k"), take("twin"))
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each engine has its own
        await answer(host, once("other"), take("twin"))
    assert host.engine.is_duplicate(raised.value)
    assert await state(host, "A") == (9, 1, 1)


async def test_a_record_lives_for_a_day(hall: Hall) -> None:
    host = await hall.host(A=10)
    await answer(host, once("k"), take())
    hall.clock.advance(hours=23, minutes=59)
    assert (await answer(host, once("k"), take())).body.startswith(b'{"left": 9')
    hall.clock.advance(minutes=1)
    assert (await answer(host, once("k", b"other body"), take())).body.startswith(b'{"left": 8')
    (record,) = await records(host)
    assert record.expires_at == hall.clock.now() + IdempotencySettings().results


async def test_a_cancelled_request_frees_its_key(hall: Hall) -> None:
    host = await hall.host(A=10)
    running = asyncio.Event()
    request = asyncio.create_task(answer(host, once("k"), stopping(running, asyncio.Event())))
    await asyncio.wait_for(running.wait(), DEADLINE)
    request.cancel()
    await asyncio.wait([request])
    assert (await answer(host, once("k"), take())).status == 201
    assert await state(host, "A") == (9, 1, 1)


# --- several transactions ---------------------------------------------------------------------------------------------


async def in_steps(host: Host, key: Once, *, between: Callable[[], Awaitable[None]] | None = None) -> Stored:
    """Takes a seat in one transaction and another in a second one."""

    async def handler() -> Stored:
        await host.work().run(take())
        if between is not None:
            await between()
        return await host.work().run(take())

    return await host.idempotency.answer_in_steps(host.work(), key, handler)


async def test_several_transactions_happen_once(hall: Hall) -> None:
    one, two = await hall.host(A=10), await hall.host()
    seen: list[Any] = []

    async def meanwhile() -> None:
        seen.extend([await outcome(in_steps(host, once("k"))) for host in (one, two)])
        seen.append(await outcome(in_steps(two, once("k", b"other"))))

    stored = await in_steps(one, once("k"), between=meanwhile)
    assert seen == [(409, "REQUEST_IN_PROGRESS")] * 2 + [(422, "IDEMPOTENCY_KEY_REUSED")]
    repeated = once("k")
    assert await in_steps(two, repeated) == stored
    assert repeated.replayed
    assert await state(one, "A") == (8, 2, 2)


async def test_after_a_crash_between_the_key_runs_again_when_its_mark_has_lapsed(hall: Hall) -> None:
    host = await hall.host(A=10)

    async def die() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await in_steps(host, once("k"), between=die)
    hall.clock.advance(seconds=59)
    assert await outcome(in_steps(host, once("k"))) == (409, "REQUEST_IN_PROGRESS")
    hall.clock.advance(seconds=1)
    assert (await in_steps(host, once("k"))).status == 201
    (record,) = await records(host)
    assert record.status == 201
    assert record.expires_at == hall.clock.now() + IdempotencySettings().results


async def test_who_comes_after_the_lapse_is_not_overwritten_by_the_late_first(hall: Hall) -> None:
    one, two = await hall.host(A=10), await hall.host()
    taken_over: list[Stored] = []

    async def too_long() -> None:
        hall.clock.advance(seconds=61)
        taken_over.append(await in_steps(two, once("k")))

    late = await in_steps(one, once("k"), between=too_long)
    assert late != taken_over[0]
    assert await in_steps(one, once("k")) == taken_over[0]


async def test_an_error_between_frees_the_key_and_a_refusal_is_kept(hall: Hall) -> None:
    host = await hall.host(A=10)

    async def error() -> None:
        raise ValueError("the gateway answered nonsense")

    async def refusal() -> None:
        raise Problem(402, "DECLINED", "the card was declined")

    with pytest.raises(ValueError, match="nonsense"):
        await in_steps(host, once("k"), between=error)
    assert await records(host) == []
    assert await outcome(in_steps(host, once("k"), between=refusal)) == (402, "DECLINED")
    assert (await in_steps(host, once("k"))).status == 402


# --- a step of a handler that makes its own transactions --------------------------------------------------------------


class Taken(BaseModel):
    """What taking a seat answers."""

    left: Decimal


async def take_one(tx: Tx) -> Taken:
    stored = await take()(tx)
    return Taken(left=json.loads(stored.body)["left"])


async def test_a_transaction_with_the_key_happens_once(hall: Hall) -> None:
    host, other = await hall.host(A=5), await hall.host()
    first, second = once("k"), once("k")
    assert await host.work().run(take_one, once=first) == Taken(left=Decimal(4))
    assert await other.work().run(partial(take_one), once=second) == Taken(left=Decimal(4))
    assert (first.replayed, second.replayed) == (False, True)
    assert await state(host, "A") == (4, 1, 1)
    with pytest.raises(KeyRefused, match="came with another request"):
        await host.work().run(take_one, once=once("k", body=b"other"))


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
async def test_a_crash_around_the_keys_transaction_leaves_effect_and_answer_or_neither(hall: Hall, point: str) -> None:
    host = await hall.host(A=5)
    with dying_at(point), pytest.raises(ConnectionAbortedError):
        await host.work().run(take_one, once=once("k"))
    assert await (await hall.host()).work().run(take_one, once=once("k")) == Taken(left=Decimal(4))
    assert await state(host, "A") == (4, 1, 1)


async def test_a_refusal_of_the_keys_transaction_is_repeated(hall: Hall) -> None:
    host = await hall.host(A=5)
    refusals = 0

    async def refuse(tx: Tx) -> Taken:
        nonlocal refusals
        refusals += 1
        raise Problem(409, "CLOSED", "the box office is closed")

    for _ in range(2):
        with pytest.raises(Problem, match="is closed"):
            await host.work().run(refuse, once=once("k"))
    assert refusals == 1


async def test_the_steps_of_a_request_happen_once_each_through_a_crash_between_them(hall: Hall) -> None:
    host = await hall.host(A=5)
    died: list[int] = []

    async def request(host: Host, key: Once) -> Taken:
        async def both() -> Taken:
            await host.work().run(take_one, once=key.step("first"))
            if not died:
                died.append(1)
                raise asyncio.CancelledError
            return await host.work().run(partial(take_one), once=key.step("second"))

        return await host.work().in_steps(both, once=key)

    with pytest.raises(asyncio.CancelledError):
        await request(host, once("k"))
    hall.clock.advance(seconds=60)
    again, repeated, other = once("k"), once("k"), once("k#first", scope="bob")
    assert await request(host, again) == Taken(left=Decimal(3))
    assert await request(await hall.host(), repeated) == Taken(left=Decimal(3))
    assert (again.replayed, repeated.replayed) == (False, True)
    assert await state(host, "A") == (3, 2, 2)
    assert await request(host, other) == Taken(left=Decimal(1))
    with pytest.raises(KeyRefused, match="came with another request"):
        await request(host, once("k", body=b"other"))


async def test_what_a_key_stores_must_have_a_type(hall: Hall) -> None:
    host = await hall.host(A=5)
    with pytest.raises(DeclarationError, match="does not say what it returns"):
        await host.work().run(lambda tx: take_one(tx), once=once("k"))  # noqa: PLW0108
    assert await state(host, "A") == (5, 0, 0)


# --- coalesced calls --------------------------------------------------------------------------------------------------


async def call(host: Host, key: str, label: str, seats: int = 1, **scope: str) -> Any:
    argument = Reserve(zone="A", label=label, seats=seats)
    return await outcome(host.work().call(reserve, argument, once=once(key, argument, **scope)))


async def test_a_repeated_coalesced_call_gets_an_equal_answer(hall: Hall) -> None:
    host = await hall.host(A=10)
    argument = Reserve(zone="A", label="buyer")
    first, second = once("k", argument), once("k", argument)
    given = await host.work().call(reserve, argument, once=first)
    repeated = await host.work().call(reserve, argument, once=second)
    assert given == repeated == Reserved(label="buyer", position=9)
    assert (first.replayed, second.replayed) == (False, True)
    assert await state(host, "A") == (9, 1, 1)
    (record,) = await records(host)
    assert (record.status, json.loads(record.body)) == (201, {"label": "buyer", "position": 9})


async def test_one_key_many_times_in_a_batch_is_decided_once(hall: Hall) -> None:
    host = await hall.host(A=10)
    answers = await asyncio.gather(
        *(call(host, f"k{n % 3}", f"buyer-{n % 3}") for n in range(30)), call(host, "k0", "another")
    )
    assert [answer.label for answer in answers[:-1]] == [f"buyer-{n % 3}" for n in range(30)]
    assert answers[-1] == (422, "IDEMPOTENCY_KEY_REUSED")
    assert batches == [["buyer-0", "buyer-1", "buyer-2"]]
    assert await state(host, "A") == (7, 3, 3)


async def test_a_refused_call_is_refused_in_the_same_words_when_there_is_room_again(hall: Hall) -> None:
    host = await hall.host(A=1)
    argument = Reserve(zone="A", label="buyer", seats=2)
    with pytest.raises(Problem) as first:
        await host.work().call(reserve, argument, once=once("k", argument))
    async with host.work().transaction() as tx:
        await tx.execute(update(Zone).values(free=100))
    with pytest.raises(Problem) as second:
        await host.work().call(reserve, argument, once=once("k", argument))
    assert second.value.document() == first.value.document()
    assert second.value.extra == {"left": 1}


async def test_another_call_with_the_key_is_refused_alone(hall: Hall) -> None:
    host = await hall.host(A=10)
    await call(host, "k", "buyer")
    answers = await asyncio.gather(call(host, "k", "another"), call(host, "l", "third"), call(host, "k", "buyer"))
    assert answers[0] == (422, "IDEMPOTENCY_KEY_REUSED")
    assert answers[1] == Reserved(label="third", position=8)
    assert answers[2] == Reserved(label="buyer", position=9)
    assert (await call(host, "k", "bobs", scope="bob")).position == 7


async def test_two_processes_decide_a_key_once(hall: Hall) -> None:
    one, two = await hall.host(A=100), await hall.host()
    answers = await asyncio.gather(
        *(call((one, two)[n % 2], f"k{n // 4}", f"buyer-{n // 4}") for n in range(120)),
        *(call((two, one)[n % 2], f"k{n // 4}", f"buyer-{n // 4}") for n in range(120)),
    )
    assert [answer.label for answer in answers] == [f"buyer-{n // 4}" for n in range(120)] * 2
    assert await state(one, "A") == (70, 30, 30)
    assert len(await records(one)) == 30


@on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")
async def test_a_call_that_another_process_overtook_gets_its_answer(hall: Hall) -> None:
    """Between this batch's look at the records and its own, the other one committed."""
    one, two = await hall.host(A=10), await hall.host()
    service = Service("seats", tables=Base)
    argument = Reserve(zone="A", label="buyer")

    @service.coalesced(key=lambda call: call.zone)
    async def overtaken(calls: Sequence[Reserve], tx: Tx) -> Sequence[Reserved]:
        await tx.connection()
        if not batches:
            await call(two, "k", "buyer")
        return [Reserved(label="late", position=0) for _ in calls]

    repeated = once("k", argument)
    answered = await one.work().call(overtaken, argument, once=repeated)
    assert answered == Reserved(label="buyer", position=9)
    assert repeated.replayed


async def test_calls_that_fail_alone_are_kept_for_their_keys(hall: Hall) -> None:
    host = await hall.host(A=100)
    answers = await asyncio.gather(
        *(call(host, f"k{n}", "raise-problem" if n == 11 else f"buyer-{n}") for n in range(32)),
    )
    again = await asyncio.gather(
        *(call(host, f"k{n}", "raise-problem" if n == 11 else f"buyer-{n}") for n in range(32)),
    )
    assert answers[11] == (418, "RAISED")
    assert again == answers
    assert await state(host, "A") == (69, 31, 31)
    assert len(await records(host)) == 32


@pytest.mark.parametrize("label", ["raise-error", "odd-error"])
async def test_an_error_is_not_kept(hall: Hall, label: str) -> None:
    host = await hall.host(A=100)
    argument = Reserve(zone="A", label=label)
    for _ in range(2):
        with pytest.raises(ValueError, match=label):
            await host.work().call(reserve, argument, once=once("k", argument))
    assert len(batches) == 2
    assert await records(host) == []


@pytest.mark.parametrize("point", ["coalesced.before_commit", "coalesced.after_commit"])
async def test_a_crash_around_a_batchs_commit_leaves_all_or_nothing(hall: Hall, point: str) -> None:
    one = await hall.host(A=100)

    def crash(reached: str) -> None:
        if reached == point:
            raise asyncio.CancelledError  # what a process that ends does to its tasks

    faultpoints.on_reach = crash
    try:
        requests = [asyncio.create_task(call(one, f"k{n}", f"buyer-{n}")) for n in range(8)]
        await asyncio.wait(requests, timeout=DEADLINE)
        assert all(request.cancelled() for request in requests)
    finally:
        faultpoints.on_reach = None
    survived = 8 if point == "coalesced.after_commit" else 0
    assert await state(one, "A") == (100 - survived, survived, survived)
    restarted = await hall.host()
    answers = await asyncio.gather(*(call(restarted, f"k{n}", f"buyer-{n}") for n in range(8)))
    assert [answer.position for answer in answers] == list(range(99, 91, -1))
    assert await state(one, "A") == (92, 8, 8)


async def test_expired_records_are_replaced(hall: Hall) -> None:
    host = await hall.host(A=100)
    await asyncio.gather(*(call(host, f"k{n}", f"buyer-{n}") for n in range(4)))
    hall.clock.advance(hours=24)
    answers = await asyncio.gather(*(call(host, f"k{n}", f"new-{n}") for n in range(6)))
    assert [answer.label for answer in answers] == [f"new-{n}" for n in range(6)]
    assert len(await records(host)) == 6
