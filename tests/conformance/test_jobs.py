"""Jobs: one process runs each at its interval, with its effects or not at all, and a failing one comes back."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from sqlalchemy import select

from freehold import DeclarationError, Problem, Tx, Work
from freehold.model.ports import Clock, SystemClock
from freehold.runtime.host import Host
from freehold.runtime.jobs import Jobs
from freehold.runtime.lease import Lease
from freehold.testing import Crash, ManualClock, crash_at
from tests.conformance.ledger import Note, Noted, ledger, notes, process
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("jobs")

DEADLINE = 20


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def row(host: Host, name: str) -> Any:
    table = host.tables.jobs
    async with host.engine.read() as connection:
        return (await connection.execute(select(table).where(table.c.name == name))).one()


async def test_a_job_runs_at_its_interval_and_what_was_missed_runs_once(
    databases: Databases, clock: ManualClock
) -> None:
    service = ledger()

    @service.every(minutes=10)
    async def tidy(tx: Tx, now: Clock) -> None:
        tx.add(Note(text=f"{now.now():%H:%M}"))

    jobs = Jobs(host := await process(databases, service, clock))
    assert await jobs.run_due() == ["tidy"], "due when first seen"
    assert await jobs.run_due() == []
    clock.advance(minutes=9)
    assert await jobs.run_due() == []
    clock.advance(minutes=1)
    assert await jobs.run_due() == ["tidy"]
    clock.advance(minutes=65)
    assert await jobs.run_due() == ["tidy"]
    assert await jobs.run_due() == []
    clock.advance(minutes=5)
    assert await jobs.run_due() == ["tidy"], "the rhythm is that of the first run"
    assert await notes(host) == ["12:00", "12:10", "13:15", "13:20"]


async def test_another_process_keeps_the_schedule(databases: Databases, clock: ManualClock) -> None:
    service = ledger()

    @service.every(minutes=10)
    async def tidy(tx: Tx) -> None:
        tx.add(Note(text="done"))

    assert await Jobs(await process(databases, service, clock)).run_due() == ["tidy"]
    clock.advance(minutes=5)
    assert await Jobs(await process(databases, service, clock)).run_due() == [], "a restart is no reason to run"


async def test_a_job_that_takes_tx_commits_with_its_schedule(databases: Databases, clock: ManualClock) -> None:
    service = ledger()

    @service.every(minutes=10)
    async def tidy(tx: Tx) -> None:
        tx.add(Note(text="done"))
        tx.publish(Noted(page="a", number=1))

    host = await process(databases, service, clock)
    for point, effects in (("commit.before", 0), ("commit.after", 1)):
        with crash_at(point), pytest.raises(Crash):
            await Jobs(host).run_due()
        assert len(await notes(host)) == effects
    assert await Jobs(host).run_due() == [], "what committed does not run again"


@pytest.mark.parametrize("leased", [False, True])
async def test_a_failing_job_tells_why_and_runs_again(databases: Databases, clock: ManualClock, leased: bool) -> None:
    service, broken = ledger(), [True]

    async def work_it(work: Work) -> None:
        async with work.transaction() as tx:
            await transact(tx)

    async def transact(tx: Tx) -> None:
        tx.add(Note(text="half"))
        await tx.flush()
        if broken:
            raise RuntimeError("no paper")

    service.every(minutes=10, name="print")(work_it if leased else transact)
    jobs = Jobs(host := await process(databases, service, clock))
    assert await jobs.run_due() == ["print"]
    assert (await row(host, "print")).last_error == "RuntimeError: no paper"
    assert await notes(host) == []
    assert await jobs.run_due() == [], "not before its time"
    broken.clear()
    clock.advance(minutes=10)
    assert await jobs.run_due() == ["print"]
    assert (await row(host, "print")).last_error is None
    assert (await row(host, "print")).last_run_at == clock.now()
    assert await notes(host) == ["half"]


@pytest.mark.parametrize("leased", [False, True])
async def test_of_two_processes_one_runs_it(databases: Databases, clock: ManualClock, leased: bool) -> None:
    service, inside, go = ledger(), asyncio.Event(), asyncio.Event()

    async def slow(work: Work) -> None:
        inside.set()
        await go.wait()
        async with work.transaction() as tx:
            tx.add(Note(text="done"))

    async def quick(tx: Tx) -> None:
        tx.add(Note(text="done"))
        await tx.flush()
        inside.set()
        if tx._host.engine.dialect != "sqlite":  # there, nobody else gets a turn before the commit
            await go.wait()

    service.every(minutes=10, name="job")(slow if leased else quick)
    one, two = [Jobs(await process(databases, service, clock)) for _ in range(2)]
    async with asyncio.timeout(DEADLINE):
        running = asyncio.create_task(one.run_due())
        await inside.wait()
        assert await two.run_due() == []
        go.set()
        assert await running == ["job"]
        assert await two.run_due() == []
    assert await notes(one._host) == ["done"]


async def test_both_processes_at_once(databases: Databases, clock: ManualClock) -> None:
    """Both find the job due; the one that comes second must see that it is not any more."""
    service = ledger()

    @service.every(minutes=10)
    async def tidy(tx: Tx) -> None:
        tx.add(Note(text="done"))

    @service.every(minutes=10)
    async def sweep(work: Work) -> None:
        async with work.transaction() as tx:
            tx.add(Note(text="done"))

    processes = [Jobs(await process(databases, service, clock)) for _ in range(3)]
    for round_ in range(1, 6):
        ran = await asyncio.gather(*(jobs.run_due() for jobs in processes))
        assert sorted(chain(*ran)) == ["sweep", "tidy"]
        assert len(await notes(processes[0]._host)) == 2 * round_
        clock.advance(minutes=10)


async def test_a_process_that_comes_late_finds_it_done(
    databases: Databases, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment that a process finds a job due and the one that it gets the lease, another has run it."""
    service = ledger()

    @service.every(minutes=10)
    async def sweep(work: Work) -> None:
        async with work.transaction() as tx:
            tx.add(Note(text="done"))

    late, quick = [Jobs(await process(databases, service, clock)) for _ in range(2)]
    acquire = Lease.acquire

    async def acquire_late(lease: Lease) -> bool:
        if lease._host is late._host:
            assert await quick.run_due() == ["sweep"]
        return await acquire(lease)

    monkeypatch.setattr(Lease, "acquire", acquire_late)
    assert await late.run_due() == []
    assert await notes(late._host) == ["done"]


async def test_a_dead_process_is_taken_over(databases: Databases, clock: ManualClock) -> None:
    service = ledger()

    @service.every(minutes=10)
    async def sweep(work: Work) -> None:
        async with work.transaction() as tx:
            tx.add(Note(text="done"))

    dead = await process(databases, service, clock)
    assert await Lease(dead, "job:sweep").acquire()  # and then it died
    jobs = Jobs(host := await process(databases, service, clock))
    assert await jobs.run_due() == []
    clock.advance(seconds=11)
    assert await jobs.run_due() == ["sweep"]
    assert await notes(host) == ["done"]


async def test_a_long_run_keeps_its_lease_and_loses_it_to_a_thief(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In real time: a run outlives its lease several times over; when it is taken all the same, the run is cut short."""
    monkeypatch.setattr(Lease.__init__, "__defaults__", (timedelta(seconds=0.6),))
    service, inside, renewed = ledger(), asyncio.Event(), asyncio.Semaphore(0)
    renew = Lease.renew

    async def renew_and_tell(lease: Lease) -> bool:
        renewed.release()
        return await renew(lease)

    monkeypatch.setattr(Lease, "renew", renew_and_tell)

    cut: list[str] = []

    @service.every(minutes=10)
    async def sweep(work: Work) -> None:
        inside.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.append("cut")
            raise

    jobs, thief = [Jobs(await process(databases, service, SystemClock())) for _ in range(2)]
    async with asyncio.timeout(DEADLINE):
        running = asyncio.create_task(jobs.run_due())
        await inside.wait()
        for _ in range(8):  # one each 0.2 seconds
            await renewed.acquire()
        assert await thief.run_due() == []
        thief._host.predecessor = jobs._host.identity  # it takes the other for dead
        assert await Lease(thief._host, "job:sweep").acquire()
        assert await running == ["sweep"]
    assert cut == ["cut"]
    assert (await row(jobs._host, "sweep")).last_run_at is None, "the schedule is the thief's now"


async def test_run_now(databases: Databases, clock: ManualClock) -> None:
    service = ledger()

    @service.every(minutes=10)
    async def tidy(tx: Tx) -> None:
        tx.add(Note(text="done"))

    @service.every(minutes=10)
    async def broken(work: Work) -> None:
        raise RuntimeError("no paper")

    jobs = Jobs(host := await process(databases, service, clock))
    await jobs.run_due()
    clock.advance(minutes=4)
    await jobs.run_now("tidy")
    assert len(await notes(host)) == 2
    assert (await row(host, "tidy")).next_run_at == clock.now() + timedelta(minutes=6)
    with pytest.raises(RuntimeError, match="no paper"):
        await jobs.run_now("broken")
    with pytest.raises(Problem, match="UNKNOWN_JOB"):
        await jobs.run_now("nothing")
    assert await Lease(await process(databases, service, clock), "job:broken").acquire()
    with pytest.raises(Problem, match="JOB_RUNNING"):
        await jobs.run_now("broken")


async def test_jobs_that_others_add_run_too(databases: Databases, clock: ManualClock) -> None:
    jobs, runs = Jobs(await process(databases, ledger(), clock)), []

    async def sweep() -> None:
        runs.append(clock.now())

    jobs.add("sweep", timedelta(minutes=1), sweep)
    with pytest.raises(DeclarationError, match="another job has the same name"):
        jobs.add("sweep", timedelta(minutes=1), sweep)
    assert await jobs.run_due() == ["sweep"]
    assert len(runs) == 1


async def test_the_loop_notices_a_clock_set_forward_and_survives_failures(
    databases: Databases, clock: ManualClock
) -> None:
    service = ledger()
    ran: asyncio.Queue[datetime] = asyncio.Queue()

    @service.every(minutes=10)
    async def broken(tx: Tx) -> None:
        raise RuntimeError("no paper")

    @service.every(hours=1)
    async def tidy(tx: Tx) -> None:
        tx.on_commit(lambda: ran.put_nowait(clock.now()))

    jobs = Jobs(await process(databases, service, clock))
    running = asyncio.create_task(jobs.run())
    async with asyncio.timeout(DEADLINE):
        first = await ran.get()
        clock.advance(hours=1)
        assert await ran.get() == first + timedelta(hours=1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_loop_keeps_an_interval_below_a_second(databases: Databases) -> None:
    service = ledger()
    ran: asyncio.Queue[float] = asyncio.Queue()

    @service.every(seconds=0.1)
    async def tick(tx: Tx) -> None:
        ran.put_nowait(asyncio.get_running_loop().time())

    running = asyncio.create_task(Jobs(await process(databases, service, SystemClock())).run())
    async with asyncio.timeout(DEADLINE):
        times = [await ran.get() for _ in range(8)]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert times[-1] - times[0] < 3, "seven intervals, and not seven looks of a second each"


async def test_a_process_that_was_frozen_changes_nothing_once_another_has_taken_over(
    databases: Databases, clock: ManualClock
) -> None:
    service, inside, go = ledger(), asyncio.Event(), asyncio.Event()

    @service.every(minutes=10)
    async def sweep(work: Work) -> None:
        async with work.transaction() as tx:
            tx.add(Note(text="begun"))
        if not inside.is_set():
            inside.set()
            await go.wait()
        async with work.as_service().transaction() as tx:
            tx.add(Note(text="ended"))

    frozen, other = [Jobs(await process(databases, service, clock)) for _ in range(2)]
    async with asyncio.timeout(DEADLINE):
        running = asyncio.create_task(frozen.run_due())
        await inside.wait()
        clock.advance(seconds=11)
        assert await other.run_due() == ["sweep"]
        go.set()
        await running
    assert await notes(other._host) == ["begun", "begun", "ended"]
