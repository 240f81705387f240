"""Jobs: functions that run at an interval, in one process at a time; what was missed runs once, not as often as missed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from freehold.model.errors import DeclarationError
from freehold.model.problem import Problem
from freehold.model.service import Job
from freehold.observe.metrics import METRICS
from freehold.observe.tracing import span
from freehold.runtime import faultpoints
from freehold.runtime.host import Host
from freehold.runtime.injection import bind, takes
from freehold.runtime.lease import Lease
from freehold.runtime.parking import describe
from freehold.runtime.transaction import Tx

log = logging.getLogger(__name__)
LOOK = 1.0


class LeaseLost(Exception):
    """Another process has taken the job over: this one's run was cut short."""


class Jobs:
    """The jobs of one running service.

    A job that takes a `Tx` runs in one transaction with its row in `scheduled_jobs`: its effects and the fact that it ran
    commit together. One that takes `Work`, or neither, runs under a lease and makes its own transactions; after a crash it
    runs again. The first run is due when the job is first seen; later ones keep the rhythm of that.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.tables.jobs
        self._jobs: dict[str, Job] = {job.name: job for job in host.service.jobs}
        self._calls = {job.name: bind(job.function, leading=0) for job in host.service.jobs}
        self._at_work: set[str] = set()

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
                    for name in await self._due():
                        running.add(task := asyncio.create_task(self._run_logged(name), name=f"job {name}"))
                        task.add_done_callback(running.discard)
                    pause = await self._pause()
                except Exception as error:
                    self._log_stumble(error)
                await asyncio.sleep(pause)
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    async def run_due(self) -> list[str]:
        """Run every due job once, one after another, as declared; the names of those that ran here, well or not."""
        return [name for name in await self._due() if await self._run(name) is not None]

    async def run_now(self, name: str) -> None:
        """Run the job now, due or not. Raises what it raises, a 404 Problem when there is none of that name, and a 409
        Problem `JOB_RUNNING` while it runs elsewhere.
        """
        if name not in self._jobs:
            raise Problem(404, "UNKNOWN_JOB", f"{self._host.service.name} has no job {name!r}")
        await self._register()
        outcome = None if name in self._at_work else await self._run(name, forced=True)
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

    async def _due(self) -> list[str]:
        schedule, now = await self._register(), self._host.clock.now()
        return [name for name in self._jobs if schedule[name] <= now and name not in self._at_work]

    async def _pause(self) -> float:
        """Seconds until the next run; never long, so that a clock that is set forward is noticed."""
        now = self._host.clock.now()
        waits = [(at - now).total_seconds() for name, at in (await self._schedule()).items() if name not in self._at_work]
        return min([LOOK, *(max(wait, 0.01) for wait in waits)])

    @staticmethod
    def _after(scheduled: datetime, every: timedelta, now: datetime) -> datetime:
        """The first moment of the job's rhythm that is still to come."""
        return scheduled + every * (max((now - scheduled) // every, 0) + 1)

    # --- one run ------------------------------------------------------------------------------------------------------

    async def _run_logged(self, name: str) -> None:
        try:
            await self._run(name)
        except Exception as error:
            self._log_stumble(error)

    def _log_stumble(self, error: Exception) -> None:
        if self._host.engine.is_unavailable(error) or self._host.engine.is_conflict(error):
            log.warning("%s: jobs wait for the database: %s", self._host.service.name, type(error).__name__)
        else:
            log.exception("%s: the scheduler stumbled and goes on", self._host.service.name)

    async def _run(self, name: str, *, forced: bool = False) -> Exception | bool | None:
        """True, or the job's error; None when it ran elsewhere or was no longer due."""
        job, service, began = self._jobs[name], self._host.service.name, time.perf_counter()
        run = self._run_in_transaction if takes(job.function, Tx) else self._run_leased
        self._at_work.add(name)
        try:
            with span(f"job {name}", service=service):
                faultpoints.reach("job.before")
                if not await run(job, forced):
                    return None
                faultpoints.reach("job.after")
        except Exception as error:
            if self._host.engine.is_unavailable(error):
                raise
            log.error("%s: job %s failed and runs again in its turn", service, name, exc_info=error)
            METRICS.job_ran(service, name, time.perf_counter() - began, failed=True)
            await self._failed(job, error)
            return error
        finally:
            self._at_work.discard(name)
        METRICS.job_ran(service, name, time.perf_counter() - began)
        return True

    async def _run_in_transaction(self, job: Job, forced: bool) -> bool:
        async def transact(tx: Tx) -> bool:
            connection, table = await tx.connection(), self._table
            mine = select(table.c.next_run_at).where(table.c.name == job.name)
            row = (await connection.execute(mine.with_for_update(skip_locked=True))).one_or_none()
            if row is None or not (forced or row.next_run_at <= tx.now()):
                return False
            await connection.execute(update(table).where(table.c.name == job.name).values(self._ran(job, row.next_run_at)))
            await self._calls[job.name](tx)
            return True

        return await self._host.work().run(transact)

    def _ran(self, job: Job, scheduled: datetime, error: str | None = None) -> dict[str, Any]:
        now = self._host.clock.now()
        return {"next_run_at": self._after(scheduled, job.every, now), "last_run_at": now, "last_error": error}

    async def _run_leased(self, job: Job, forced: bool) -> bool:
        lease = Lease(self._host, f"job:{job.name}")
        if not await lease.acquire():
            return False
        try:
            scheduled = (await self._schedule())[job.name]
            if not (forced or scheduled <= self._host.clock.now()):
                return False
            await self._renewing(lease, self._calls[job.name](self._host.work()))
            table = self._table
            async with self._host.engine.write() as connection:
                await connection.execute(
                    update(table).where(table.c.name == job.name, lease.fence()).values(self._ran(job, scheduled))
                )
        finally:
            await lease.release()
        return True

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

    async def _failed(self, job: Job, error: Exception) -> None:
        """Leave the error, and the next run to the job's rhythm, unless somebody else has run it since."""
        table = self._table
        scheduled = (await self._schedule())[job.name]
        async with self._host.engine.write() as connection:
            await connection.execute(
                update(table)
                .where(table.c.name == job.name, table.c.next_run_at == scheduled)
                .values(self._ran(job, scheduled, describe(error)))
            )
