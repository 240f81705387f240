"""A whole system in a test: real databases, real HTTP semantics, a clock that the test moves."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from sqlalchemy import select

from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.process import LOCAL_BUS, Process
from freehold.identity import TokenIssuer
from freehold.model.access import User
from freehold.model.ids import uuid7
from freehold.model.messages import Event
from freehold.model.system import System
from freehold.model.topology import Topology
from freehold.runtime.work import Work
from freehold.testing.clock import ManualClock
from freehold.testing.deliveries import OnTheWay, WatchedBus

E = TypeVar("E", bound=Event)
DEADLINE = 30.0
PARTITIONS = 2
"""Of each topic at a broker: enough for two keys to go side by side."""


class World:
    """A running system, seen from a test.

    Nothing happens by itself but the delivery of events: jobs, deadlines and retries run when the test moves the clock.
    A call between services may take 30 seconds whatever its query says, so that a busy machine fails no test.

    Args:
        system: what to run.
        databases: address of each service's database; SQLite files in a fresh folder when None.
        bus: address of a broker; it must carry no other system of this name.
        given: substitutes for provided things and settings, by type.
        clock: the clock to inject.
        folder: keys and embedded databases; a temporary one when None.
        store: where caches, live counters, waiting lines and rate limits are.
    """

    def __init__(
        self,
        system: System,
        *,
        databases: Mapping[str, str] | None = None,
        bus: str = LOCAL_BUS,
        given: Mapping[type[Any], Any] | None = None,
        clock: ManualClock | None = None,
        folder: Path | None = None,
        store: str = "memory://",
    ) -> None:
        self.clock = clock or ManualClock()
        self._folder = folder or Path(tempfile.mkdtemp(prefix="freehold-"))
        self._temporary = folder is None
        services = {name: ServiceDeployment(database=url) for name, url in (databases or {}).items()}
        self.process = Process(
            system,
            Deployment(data=self._folder, services=services, bus=bus, partitions=PARTITIONS, store=store),
            clock=self.clock,
            given=given,
            timers=False,
            call_timeout=DEADLINE,
        )
        self.system = system
        self._on_the_way = OnTheWay(Topology.of(system, partitions=PARTITIONS))
        if self.process.shares:
            self.process.bus = WatchedBus(self.process.bus, self._on_the_way)

    async def __aenter__(self) -> Self:
        await self.process.start()
        for unit in self.process.units.values():
            unit.host.outbox.wake()  # so that settling waits for what an earlier process left behind, too
        if self.process.shares:
            await self._on_the_way.begin_left_behind(self.process.units)
        transport = httpx.ASGITransport(self.process.app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://gateway.test")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()
        await self.process.stop()
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    # --- acting -------------------------------------------------------------------------------------------------------

    def work(self, service: str) -> Work:
        """The unit of work of a service, to look at its rows or change them."""
        return self.process.units[service].host.work()

    def service(self, name: str) -> httpx.AsyncClient:
        """A client of one service's own address, past the gateway."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.process.apps[name]), base_url=f"http://{name}.test")

    def token(self, user: User, **claims: Any) -> str:
        """An access token for this user, as the auth service would issue it."""
        assert self.system.auth is not None, "this system has no auth service"  # noqa: S101
        issuer = self.process.units[self.system.auth].host.provided.use(TokenIssuer)
        return issuer.issue(user, **claims)

    def as_user(
        self,
        id: Any = None,
        *,
        roles: Sequence[str] = (),
        permissions: Sequence[str] = (),
        tenant_id: Any = None,
        email: str | None = None,
    ) -> dict[str, str]:
        """Headers of a request by this user."""
        user = User(uuid7() if id is None else id, email, frozenset(roles), frozenset(permissions), tenant_id)
        return {"Authorization": f"Bearer {self.token(user)}"}

    async def advance(self, **parts: float) -> None:
        """Move the clock by `timedelta(**parts)`, run what is due by then, and settle."""
        self.clock.advance(**parts)
        await self.run_due()

    async def run_due(self) -> None:
        """Run deadlines, retries, delayed events and jobs that are due, in one service after another, and settle."""
        for unit in self.process.units.values():
            await unit.run_due()
            await self.settle()  # the next one finds the same, however quick the bus is

    async def run_job(self, service: str, job: str) -> None:
        """Run one job now, and settle."""
        await self.process.units[service].jobs.run_now(job)
        await self.settle()

    async def set_flag(self, service: str, flag: str, setting: str) -> None:
        """Set a feature flag of a service: `on`, `off`, `25%` or `user:ID`."""
        host = self.process.units[service].host
        await host.work().run(lambda tx: host.flags.set(flag, setting, tx))

    async def settle(self, *, deadline: float = DEADLINE) -> None:
        """Wait until every committed event is handled or parked, and every one that followed from it.

        Raises TimeoutError after `deadline` seconds.
        """
        async with asyncio.timeout(deadline):
            await self.process.settle()
            while not self._on_the_way.is_empty:
                await self._on_the_way.until_empty()
                await self.process.settle()

    # --- looking ------------------------------------------------------------------------------------------------------

    async def published(self, event: type[E]) -> list[E]:
        """Every event of this type that its owner committed, in order."""
        owner = next(s for s in self.system.services if event in s.publishes)
        host = self.process.units[owner.name].host
        table = host.tables.outbox
        async with host.engine.read() as connection:
            rows = await connection.execute(
                select(table.c.payload).where(table.c.event_type == event.__message__.name).order_by(table.c.seq)
            )
            return [event.model_validate_json(row.payload) for row in rows]

    async def handled(self, service: str, consumer: str) -> int:
        """How many events this handler of the service has consumed."""
        host = self.process.units[service].host
        table = host.tables.consumed
        async with host.engine.read() as connection:
            return len(
                (await connection.execute(select(table.c.event_id).where(table.c.consumer_name == consumer))).all()
            )

    async def deliver(self, service: str, event: Event, *, times: int = 1, event_id: Any = None) -> None:
        """Deliver an event directly to a service's group, as often as asked under one id, and wait for it."""
        from freehold.model.envelope import Envelope

        spec = event.__message__
        envelope = Envelope(
            event_id or uuid7(), spec.name, spec.version, "test", spec.topic, event.key, self.clock.now(),
            event.model_dump_json(),
        )  # fmt: skip
        for _ in range(times):
            await self.process.units[service].group.deliver(envelope)
        await self.settle()
