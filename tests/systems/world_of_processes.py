"""The world of a system that runs in processes of its own: what `freehold.testing.World` is for one in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import or_, select, text

from freehold import Event, TokenIssuer, User, uuid7
from freehold.buses.factory import open_bus
from freehold.deploy.config import read
from freehold.deploy.databases import data_folder
from freehold.deploy.identities import Identities
from freehold.deploy.settings import read_settings
from freehold.engines import open_engine
from freehold.model.envelope import Envelope
from freehold.model.ports import DataFolder
from freehold.model.service import Handler
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from freehold.runtime.views import Views
from freehold.runtime.work import Work
from freehold.stores import open_store
from tests.systems.site_of_processes import ROOT, Site

E = TypeVar("E", bound=Event)
DEADLINE = 90.0
LOOK = 0.05
BREATH = timedelta(milliseconds=50)
LONGEST_TRANSACTION = timedelta(minutes=10)
Published = dict[UUID, str]
Consumer = tuple[str, str]


class WorldOfProcesses:
    """A site, seen from a test: its gateway, its clock, and every service's database, opened beside the service.

    Time goes on, and jobs, deadlines and retries run by themselves: `run_due` waits until they have.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.system = site.plan.system
        self.clock = site.clock
        self._hosts: dict[str, Host] = {}
        self._stack = AsyncExitStack()
        self._since = self.clock.now() - LONGEST_TRANSACTION

    async def __aenter__(self) -> Self:
        deployment = read(self.system, self.site.deployment, folder=ROOT, environment=self.site.environment)
        folder = data_folder(self.system, deployment)
        identities = Identities.open(self.system, folder, self.clock)
        store = await self._stack.enter_async_context(open_store(deployment.store, self.system.name))
        for service in self.system.services:
            own = {
                **read_settings(service, deployment),
                **identities.given(service.name),
                **store.shelf(service.name).given(),
            }
            engine = open_engine(deployment.service(service.name).database)
            host = Host(self.system, service, engine, clock=self.clock, given={**own, DataFolder: DataFolder(folder)})
            self._hosts[service.name] = host
            self._stack.push_async_callback(host.close)
        # The gateway closes connections that were idle for a while, and nobody repeats a POST.
        limits = httpx.Limits(max_connections=600, keepalive_expiry=2)
        self.http = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=self.site.addresses[self.site.plan.title], limits=limits, timeout=DEADLINE)
        )
        assert self.system.auth is not None
        self._tokens: TokenIssuer = identities.given(self.system.auth)[TokenIssuer]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- acting -------------------------------------------------------------------------------------------------------

    def host(self, service: str) -> Host:
        """The service's declarations on its database."""
        return self._hosts[service]

    def work(self, service: str) -> Work:
        """A unit of work on the service's database."""
        return self._hosts[service].work()

    def as_user(
        self,
        id: Any = None,
        *,
        roles: Sequence[str] = (),
        permissions: Sequence[str] = (),
        tenant_id: Any = None,
        email: str | None = None,
    ) -> dict[str, str]:
        """Headers of a request by this user, with a token as the auth service signs them."""
        user = User(uuid7() if id is None else id, email, frozenset(roles), frozenset(permissions), tenant_id)
        return {"Authorization": f"Bearer {self.token(user)}"}

    def token(self, user: User) -> str:
        """An access token for this user, as the auth service would issue it."""
        return self._tokens.issue(user)

    async def advance(self, **parts: float) -> None:
        """Move the clock by `timedelta(**parts)` and wait until what is due by then has run and settled."""
        # At a moment when no job is at work, so that each that is found to have run began afterwards.
        await self._until(lambda: self._have_run(self.clock.now() + BREATH))
        self.clock.advance(**parts)
        await self.run_due()

    async def run_due(self) -> None:
        """Wait until every job that is due has run, in every service, and all has settled."""
        now = self.clock.now()
        await self._until(lambda: self._have_run(now))
        await self.settle()

    async def run_job(self, service: str, job: str) -> None:
        """Wait until the job, which runs every few seconds, has begun and ended once more, and settle."""
        for _ in range(2):  # the first may have begun before
            now = self.clock.now()
            await self._until(lambda now=now: self._ended(service, job, now))  # type: ignore[misc]
        await self.settle()

    async def kill(self, service: str) -> None:
        """kill -9 of the service's process, until its end was noticed; another is started."""
        deaths = self.site.deaths(service)
        self.site.kill(service)

        async def noticed() -> bool:
            return self.site.deaths(service) > deaths

        await self._until(noticed)

    async def deliver(self, service: str, event: Event, *, times: int = 1, event_id: UUID | None = None) -> None:
        """Publish an event, as often as asked under one id, and settle: the service gets it, and whoever else consumes
        such events.
        """
        kind = type(event)
        assert kind in self._hosts[service].service.consumes(), f"{service} does not consume {kind.__name__}"
        spec, id = kind.__message__, event_id or uuid7()
        payload = event.model_dump_json()
        envelope = Envelope(id, spec.name, spec.version, "test", spec.topic, event.key, self.clock.now(), payload)
        await self.redeliver(envelope, times=times)

    async def redeliver(self, event: Envelope, *, times: int) -> None:
        """Publish the event again so often, each time when every consumer is done with the time before, and settle."""
        consumers = [
            (name, handler.name)
            for name, host in self._hosts.items()
            for handler in _handlers(host)
            if event.type in _types(handler)
        ]
        bus = open_bus(self.site.bus, Topology.of(self.system))
        try:
            for _ in range(times):
                before = await self._handled(consumers)
                await asyncio.gather(*await bus.publish([event]))
                await self._until(lambda before=before: self._have_handled_more(consumers, before))  # type: ignore[misc]
        finally:
            await bus.close()
        await self.settle()

    async def _have_handled_more(self, consumers: Sequence[Consumer], before: Sequence[float]) -> bool:
        return all(more > less for more, less in zip(await self._handled(consumers), before, strict=True))

    async def _handled(self, consumers: Sequence[Consumer]) -> list[float]:
        """How many events each of these has handled, those included that it had had before."""
        name = "freehold_events_handled_total"
        return [await self.metric(service, name, {"handler": handler}) for service, handler in consumers]

    # --- settling -----------------------------------------------------------------------------------------------------

    async def settle(self, *, deadline: float = DEADLINE) -> None:
        """Wait until every committed event is handled, parked or dead at each of its consumers, with all that followed
        from it, and nothing is left that could go on by itself. Raises TimeoutError.
        """
        began = self.clock.now()
        await self._until(self._is_quiet, deadline)
        self._since = began - LONGEST_TRANSACTION

    async def _is_quiet(self) -> bool:
        """What an event led to is committed with its mark: so marks are read between two readings of the outboxes."""
        published = await self._published()
        if published is None or not await self._all(self._has_taken, published):
            return False
        return await self._all(self._has_nothing_due) and await self._published() == published

    async def _published(self) -> Published | None:
        """Recent events by id; None while some are not with the broker yet."""
        found: Published = {}
        for host in self._hosts.values():
            table = host.tables.outbox
            pending = table.c.published_at.is_(None) & table.c.dead_at.is_(None)
            columns = select(table.c.event_id, table.c.event_type, pending)
            async with host.engine.read() as connection:
                rows = await connection.execute(columns.where(or_(table.c.created_at >= self._since, pending)))
                for event_id, event_type, is_pending in rows:
                    if is_pending:
                        return None
                    found[event_id] = event_type
        return found

    async def _has_taken(self, host: Host, published: Published) -> bool:
        """Whether every consumer of the service is done with these events, or keeps them for later."""
        wanted = {
            (event_id, handler.name)
            for handler in _handlers(host)
            for event_id, event_type in published.items()
            if event_type in _types(handler)
        }
        if not wanted:
            return True
        async with host.engine.read() as connection:
            for table in (host.tables.consumed, host.tables.parked, host.tables.dead_letters):
                among = table.c.event_id.in_({event_id for event_id, _ in wanted})
                wanted -= {tuple(row) for row in await connection.execute(  # type: ignore[misc]
                    select(table.c.event_id, table.c.consumer_name).where(among)
                )}  # fmt: skip
                if not wanted:
                    return True
        return False

    async def _has_nothing_due(self, host: Host) -> bool:
        sagas, delayed, parked = host.tables.sagas, host.tables.delayed, host.tables.parked
        now = self.clock.now()
        async with host.engine.read() as connection:
            for due in (sagas.c.deadline_at, delayed.c.due_at, parked.c.next_attempt_at):
                if await connection.scalar(select(due).where(due <= now).limit(1)) is not None:
                    return False
        return True

    async def _have_run(self, by: datetime) -> bool:
        """Whether no job of any service is due by then."""
        return await self._all(self._has_run, by)

    async def _has_run(self, host: Host, by: datetime) -> bool:
        table, names = host.tables.jobs, [job.name for job in host.service.jobs]
        async with host.engine.read() as connection:
            due = select(table.c.name).where(table.c.name.in_(names), table.c.next_run_at <= by).limit(1)
            return await connection.scalar(due) is None

    async def _ended(self, service: str, job: str, since: datetime) -> bool:
        host = self._hosts[service]
        async with host.engine.read() as connection:
            last = await connection.scalar(select(host.tables.jobs.c.last_run_at).where(host.tables.jobs.c.name == job))
        return last is not None and last > since

    async def _all(self, question: Callable[..., Awaitable[bool]], *arguments: Any) -> bool:
        return all(await asyncio.gather(*(question(host, *arguments) for host in self._hosts.values())))

    @staticmethod
    async def _until(condition: Callable[[], Awaitable[bool]], deadline: float = DEADLINE) -> None:
        async with asyncio.timeout(deadline):
            while not await condition():
                await asyncio.sleep(LOOK)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def published(self, event: type[E]) -> list[E]:
        """Every event of this type that its owner committed, in order."""
        host = next(host for host in self._hosts.values() if event in host.service.publishes)
        table = host.tables.outbox
        stored = select(table.c.payload).where(table.c.event_type == event.__message__.name).order_by(table.c.seq)
        async with host.engine.read() as connection:
            return [event.model_validate_json(payload) for payload in await connection.scalars(stored)]

    async def until_waiting(self, service: str, count: int = 1) -> None:
        """Wait until so many transactions wait for a lock in the service's database, which is on PostgreSQL."""
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"
        )

        async def are_waiting() -> bool:
            async with self._hosts[service].engine.read() as connection:
                return bool(await connection.scalar(waiting) >= count)

        await self._until(are_waiting)

    async def metric(self, service: str, name: str, labels: Mapping[str, str] | None = None) -> float:
        """A sample of what a service counts."""
        text = (await self.http.get(f"{self.site.addresses[service]}/metrics")).text
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and (labels or {}).items() <= s.labels.items())


def _handlers(host: Host) -> list[Handler]:
    return [*host.service.handlers, *host.sagas.handlers(), *Views(host).handlers()]


def _types(handler: Handler) -> set[str]:
    return {message.__message__.name for message in handler.messages}
