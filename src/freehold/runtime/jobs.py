"""Jobs: functions that run at an interval, in one process at a time; what was missed runs once, not many times."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.buses.ending import end
from freehold.model.errors import DeclarationError
from freehold.model.problem import Problem
from freehold.model.service import Job
from freehold.observe.metrics import METRICS
from freehold.observe.tracing import span
from freehold.runtime import faultpoints
from freehold.runtime.failure import describe
from freehold.runtime.host import Host
from freehold.runtime.injection import bind, takes
from freehold.runtime.lease import Lease
from freehold.runtime.transaction import Tx
from freehold.runtime.work import Work

log = logging.getLogger(__name__)
LOOK = 1.0
SKEW = timedelta(minutes=1)


class LeaseLost(Exception):
    """Another process has taken the job over: this one's run was cut short."""


class Jobs:
    """The jobs of one running service.

    A job that takes a `Tx` runs in one transaction with its row in `scheduled_jobs`: its effects and the fact that it
    ran commit together. One that takes `Work`, or neither, runs under a lease, without which no transaction of its
    `Work` begins; after a crash it runs again. The first run is due when the job is first seen; later ones keep the
    rhythm of that.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.tables.jobs
        self._jobs: dict[str, Job] = {job.name: job for job in host.service.jobs}
        self._calls = {job.name: bind(job.function, leading=0) for job in host.service.jobs}
        self._at_work: set[str] = set()
        self._woken = asyncio.Event()

    def add(self, name: str, every: timedelta, function: Callable[..., Any]) -> None:
        """A job besides the service's own. Raises DeclarationError when the name is taken."""
        if name in self._jobs:
            raise DeclarationError(
                f"{self._host.service.name} job {name}", "another job has the same name", "Choose another"
            )
        self._jobs[name] = Job(name, function, every)
        self._calls[name] = bind(function, leading=0)

    async def run(self) -> None:
        """Run what is due, when it is due, until cancelled. A slow job does not hold up the others."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                pause = LOOK
                try:
                    for name, scheduled in (await self._due()).items():
                        running.add(task := asyncio.create_task(self._run_alone(name, scheduled), name=f"job {name}"))
                        task.add_done_callback(running.discard)
                    pause = await self._pause()
                except Exception as error:
                    self._log_stumble(error)
                await self._sleep(pause)
        finally:
            await end(*running)

    async def run_due(self) -> list[str]:
        """Run every due job once, one after another, as declared; the names of those that ran here, well or not."""
        return [name for name, scheduled in (await self._due()).items() if await self._run(name, scheduled) is not None]

    async def run_now(self, name: str) -> None:
        """Run the job now, due or not. Raises what it raises, a 404 Problem when there is none of that name, and a 409
        Problem `JOB_RUNNING` while it runs elsewhere.
        """
        if name not in self._jobs:
            raise Problem(404, "UNKNOWN_JOB", f"{self._host.service.name} has no job {name!r}")
        scheduled = (await self._register())[name]
        outcome = None if name in self._at_work else await self._run(name, scheduled, forced=True)
        if outcome is None:
            raise Problem(409, "JOB_RUNNING", f"the job {name} is running")
        if isinstance(outcome, Exception):
            raise outcome

    # --- when ---------------------------------------------------------------------------------------------------------

    async def _schedule(self) -> dict[str, datetime]:
        table = self._table
        async with self._host.engine.read() as connection:
            rows = await connection.execute(select(table.c.name, table.c.next_run_at))
            return {row.name: row.next_run_at for row in rows if row.name in self._jobs}

    async def _register(self) -> dict[str, datetime]:
        """When each job runs next; those never seen before are due now."""
        schedule = await self._schedule()
        missing = [{"name": name, "next_run_at": self._host.clock.now()} for name in self._jobs if name not in schedule]
        if missing:
            async with self._host.engine.write() as connection:
                await connection.execute(self._host.engine.insert_new(self._table, missing, key=["name"]))
            schedule = await self._schedule()
        return schedule

    async def _due(self) -> dict[str, datetime]:
        """The jobs whose time has come, with that time; also those whose next run is further away than it can rightly
        be: a clock was wrong when it was set, or the interval has been made shorter since.
        """
        schedule, now = await self._register(), self._host.clock.now()
        return {
            name: schedule[name]
            for name, job in self._jobs.items()
            if name not in self._at_work and not now < schedule[name] <= now + 2 * job.every + SKEW
        }

    async def _pause(self) -> float:
        """Seconds until the next run; never long, so that a clock that is set forward is noticed."""
        now = self._host.clock.now()
        return min([LOOK, *((at - now).total_seconds() for at in (await self._schedule()).values() if at > now)])

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    @staticmethod
    def _next(scheduled: datetime, every: timedelta, now: datetime) -> datetime:
        """The first moment of the job's rhythm that is still to come."""
        return scheduled + every * ((now - scheduled) // every + 1)

    # --- one run ------------------------------------------------------------------------------------------------------

    async def _run_alone(self, name: str, scheduled: datetime) -> None:
        try:
            if await self._run(name, scheduled) is not None:
                self._woken.set()  # its next run may be sooner than the next look
        except Exception as error:
            self._log_stumble(error)

    def _log_stumble(self, error: Exception) -> None:
        if self._host.engine.is_unavailable(error) or self._host.engine.is_conflict(error):
            log.warning("%s: jobs wait for the database: %s", self._host.service.name, type(error).__name__)
        else:
            log.exception("%s: the scheduler stumbled and goes on", self._host.service.name)

    async def _run(self, name: str, scheduled: datetime, *, forced: bool = False) -> Exception | bool | None:
        """True, or the job's error; None when it ran elsewhere or is no longer due."""
        job, service, began = self._jobs[name], self._host.service.name, time.perf_counter()
        run = self._run_in_transaction if takes(job.function, Tx) else self._run_leased
        self._at_work.add(name)
        try:
            with span(f"job {name}", service=service):
                faultpoints.reach("job.before")
                if not await run(job, scheduled, forced):
                    return None
                faultpoints.reach("job.after")
        except LeaseLost as lost:
            log.warning("%s: job %s was cut short: %s", service, name, lost)
            return lost
        except Exception as error:
            if self._host.engine.is_unavailable(error):
                raise
            log.error("%s: job %s failed and runs again in its turn", service, name, exc_info=error)
            METRICS.job_ran(service, name, time.perf_counter() - began, failed=True)
            await self._failed(job, scheduled, error)
            return error
        finally:
            self._at_work.discard(name)
        METRICS.job_ran(service, name, time.perf_counter() - began)
        return True

    async def _run_in_transaction(self, job: Job, scheduled: datetime, forced: bool) -> bool:
        async def transact(tx: Tx) -> bool:
            connection, table = await tx.connection(), self._table
            mine = table.c.name == job.name
            if not forced:
                mine &= table.c.next_run_at == scheduled
            free = select(table.c.name).where(mine).with_for_update(skip_locked=True)
            if await connection.scalar(free) is None:
                return False
            await connection.execute(update(table).where(mine).values(self._ran(job, scheduled)))
            await self._calls[job.name](tx)
            return True

        return await self._host.work().run(transact)

    async def _run_leased(self, job: Job, scheduled: datetime, forced: bool) -> bool:
        lease, table = Lease(self._host, f"job:{job.name}"), self._table
        if not await lease.acquire():
            return False
        try:
            if not forced and (await self._schedule())[job.name] != scheduled:
                return False
            work = Work(self._host, guard=lambda connection: self._guard(lease, connection))
            await self._renewing(lease, self._calls[job.name](work))
            async with self._host.engine.write() as connection:
                await connection.execute(
                    update(table).where(table.c.name == job.name, lease.fence()).values(self._ran(job, scheduled))
                )
        finally:
            await lease.release()
        return True

    @staticmethod
    async def _guard(lease: Lease, connection: AsyncConnection) -> None:
        """A process that was frozen begins no transaction more, even before it finds out by renewing."""
        if not await connection.scalar(select(lease.fence())):
            raise LeaseLost("another process has taken the job over")

    def _ran(self, job: Job, scheduled: datetime, error: str | None = None) -> dict[str, Any]:
        now = self._host.clock.now()
        return {"next_run_at": self._next(scheduled, job.every, now), "last_run_at": now, "last_error": error}

    @staticmethod
    async def _renewing(lease: Lease, run: Any) -> None:
        """Await the run, keep the lease meanwhile, and cut the run short when the lease is lost."""
        task = asyncio.ensure_future(run)
        try:
            while not (await asyncio.wait([task], timeout=lease.ttl.total_seconds() / 3))[0]:
                if not await lease.renew():
                    raise LeaseLost("another process has taken the job over")
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _failed(self, job: Job, scheduled: datetime, error: Exception) -> None:
        """Leave the error, and the next run to the job's rhythm, unless somebody else has run it since."""
        table = self._table
        async with self._host.engine.write() as connection:
            await connection.execute(
                update(table)
                .where(table.c.name == job.name, table.c.next_run_at == scheduled)
                .values(self._ran(job, scheduled, describe(error)))
            )
