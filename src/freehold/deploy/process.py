"""What runs in a process: a whole system with its gateway, one of its services, or the gateway alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from freehold.buses.factory import open_bus
from freehold.deploy.config import GATEWAY, Deployment
from freehold.deploy.databases import data_folder, open_databases, open_engine_of, reach
from freehold.deploy.given import given_to
from freehold.deploy.identities import Identities
from freehold.deploy.lock import FolderLock, take_slot
from freehold.deploy.migrations.migrate import Migrations
from freehold.deploy.neighbours import Neighbours
from freehold.deploy.objects import deployed_objects, gateway_objects, object_checks
from freehold.deploy.settings import read_settings
from freehold.deploy.unit import PARTS as BACKGROUND
from freehold.deploy.unit import Unit
from freehold.http import Check, Draining, GatewayApp, HealthApp, ServiceApp, gateway_app, service_app
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Bus, Clock, Engine, SystemClock
from freehold.model.service import Service
from freehold.model.system import System
from freehold.model.topology import Topology
from freehold.runtime.calls import LocalCaller
from freehold.runtime.host import Host
from freehold.runtime.lease import TTL
from freehold.runtime.relay import RelaySettings
from freehold.stores import open_store

PARTS = ("http", *BACKGROUND)
LOCAL_BUS = "local://"


class Process:
    """A system running here.

        async with Process(system, deployment) as process:
            ...                                  # process.app is the gateway, an ASGI application

    Starting makes databases, tables and keys that are missing. With the local bus it takes the data folder for this
    process alone; with a broker any number of processes may run the same services.

    Args:
        system: what to run, or a part of.
        deployment: where its data lives.
        only: one service of it, or `gateway`; `process.app` is then that one's. The others are reached at their
            addresses.
        parts: what a service does here: `http` answers requests, `relay` publishes, `consumers` handles events, runs
            jobs and meets deadlines.
        clock: where the time comes from.
        given: things by type that win over settings and over what services provide; tests substitute with it.
        timers: False starts no jobs, retries and deadlines of their own accord: whoever moves the clock runs them.
        relay: sizes and times of the relays.
        call_timeout: seconds that a call between services may take, when None as many as its query says.

    Raises:
        ConfigurationError: no such service, or one service of several on the local bus.
    """

    def __init__(
        self,
        system: System,
        deployment: Deployment,
        *,
        only: str = "",
        parts: Collection[str] = PARTS,
        clock: Clock | None = None,
        given: Mapping[type[Any], Any] | None = None,
        timers: bool = True,
        relay: RelaySettings | None = None,
        call_timeout: float | None = None,
    ) -> None:
        self.system = system
        self.deployment = deployment
        self.only = only
        self.services = _chosen(system, only)
        self.clock: Clock = clock or SystemClock()
        self.units: dict[str, Unit] = {}
        self.bus = self._open_bus()
        self.store = open_store(deployment.store, system.name)
        self.draining = Draining()
        self._parts = parts
        self._given = given or {}
        self._timers = timers
        self._relay = relay
        self._call_timeout = call_timeout
        self._lock: FolderLock | None = None
        self._engines: dict[str, Engine] = {}
        here = {service.name for service in self.services}
        addresses = {s.name: deployment.address(system, s.name) for s in system.services if s.name not in here}
        self._neighbours = Neighbours(system, addresses, self.clock) if addresses else None
        self._entrance: GatewayApp | None = None

    def _open_bus(self) -> Bus:
        topology = Topology.of(self.system, partitions=self.deployment.partitions, by_topic=self.deployment.topics)
        if not self.shares and self.services and len(self.services) < len(self.system.services):
            raise ConfigurationError(
                "bus",
                f"{LOCAL_BUS} connects the services of one process, and {self.only} would be one of several",
                "Name a broker (kafka://… or amqp://…), or start all services together with `freehold run`",
            )
        return open_bus(self.deployment.bus, topology)

    @property
    def shares(self) -> bool:
        """Whether other processes may run the same services."""
        return self.deployment.bus != LOCAL_BUS

    async def start(self) -> None:
        """Make what is missing and run. Raises ConfigurationError when something cannot be had."""
        settings = {service.name: read_settings(service, self.deployment) for service in self.services}
        folder = data_folder(self.system, self.deployment)
        self._lock = take_slot(folder, self.only or "all") if self.shares else FolderLock(folder)
        try:
            await self._open_engines()
            self._identities = Identities.open(
                self.system,
                folder,
                self.clock,
                here=self._engines,
                others=self._neighbours.keys if self._neighbours else None,
            )
            self._objects = deployed_objects(self.system, self.deployment, folder, self.clock)
            await self._open_units(settings, self._lock)
            if not self.shares:
                await asyncio.gather(*map(self._claim, self.units.values()))
            if self.deployment.sql_detector:
                from freehold.runtime.sql_detector import SqlDetector

                SqlDetector(self.system, self.deployment.sql_detector).attach(unit.host for unit in self.units.values())
            self.apps = {name: self._service_app(unit) for name, unit in self.units.items()}
            self.app = self._front()
            for unit in self.units.values():
                await unit.prepare()
        except BaseException:
            await self.stop()
            raise
        if self._neighbours is not None:
            self._neighbours.start()
        for unit in self.units.values():
            unit.start(timers=self._timers)

    async def _open_engines(self) -> None:
        """Every service's database, reached, before anything is made in one of them."""
        urls = await open_databases(self.system, self.deployment, self.services)
        self._engines = {
            service.name: open_engine_of(service.name, urls[service.name], self.deployment) for service in self.services
        }
        for service, engine in self._engines.items():
            await reach(engine, service)

    async def _claim(self, unit: Unit) -> None:
        """Be the one process that runs the service: what another left behind when it died is free after a while."""
        patience = asyncio.get_running_loop().time() + TTL.total_seconds() + 1
        while not await unit.relay.claim():
            if asyncio.get_running_loop().time() > patience:
                raise ConfigurationError(
                    f"service {unit.host.service.name}",
                    "another process runs it on this database, and the local bus is for one",
                    "Stop the other process",
                )
            await asyncio.sleep(0.25)

    async def _open_units(self, settings: Mapping[str, Mapping[type[Any], Any]], lock: FolderLock) -> None:
        hosts: dict[str, Host] = {}
        for service in self.services:
            elsewhere = None
            if self._neighbours is not None:
                elsewhere = self._neighbours.caller(self._identities.tokens(service.name))
            given = given_to(
                service.name,
                settings[service.name],
                identities=self._identities,
                store=self.store,
                objects=self._objects,
                folder=data_folder(self.system, self.deployment),
            )
            host = Host(
                self.system,
                service,
                self._engines[service.name],
                clock=self.clock,
                caller=LocalCaller(self.system, hosts, elsewhere, timeout=self._call_timeout),
                given={**given, **self._given},
                identity=f"{service.name}-{lock.identity}",
                predecessor=f"{service.name}-{lock.predecessor}",
            )
            hosts[service.name] = host
            self.units[service.name] = Unit(host, self.bus, relay=self._relay, parts=self._parts)
            migrations = Migrations(service, self._engines[service.name], clock=self.clock)
            await migrations.start(automatic=self._is_alone(service.name))

    def _is_alone(self, service: str) -> bool:
        """Whether no other process can be using the service's database: the folder's lock sees to that."""
        embedded = self.deployment.layout == "embedded" and self._engines[service].dialect == "sqlite"
        return embedded and not self.shares

    def _service_app(self, unit: Unit) -> ServiceApp | HealthApp:
        name, host = unit.host.service.name, unit.host
        checks: dict[str, Check] = {"store": self.store.ping, **object_checks(host.service, self._objects)}
        if self._neighbours is not None and self.system.auth in self._neighbours.keys:
            checks[f"keys of {self.system.auth}"] = self._neighbours.knows(self.system.auth)
        if "http" not in self._parts:
            return HealthApp({"database": host.engine.ping, "bus": self.bus.ping, **checks}, self.draining)
        return service_app(
            host,
            verifier=self._identities.verifier(),
            service_verifier=self._identities.service_verifier(name),
            key_ring=self._identities.own[name],
            bus=self.bus,
            checks=checks,
            draining=self.draining,
        )

    def _front(self) -> GatewayApp | ServiceApp | HealthApp:
        if self.units and self.only:
            return self.apps[self.only]
        self._entrance = gateway_app(
            self.system,
            {**self.apps, **(self._neighbours.addresses if self._neighbours else {})},
            rate_limits=self.store.shelf("gateway").rate_limits,
            limited=self.deployment.rate_limits,
            verifier=self._identities.verifier(),
            queue_passes=self._identities.queue_passes() if self.deployment.queue_mode else None,
            objects=gateway_objects(self.system, self._objects),
            draining=self.draining,
        )
        return self._entrance

    async def settle(self) -> None:
        """Wait until every committed event is handled or parked, and every one that followed from it.

        On a broker, which answers before anybody has handled an event: until the broker has them.
        """
        outboxes = [unit.host.outbox for unit in self.units.values()]
        before = None
        while before != (commits := [outbox.commits for outbox in outboxes]):
            before = commits
            for outbox in outboxes:
                await outbox.until_drained()

    async def stop(self) -> None:
        """Finish what is at work in every service, then let go of everything, whatever fails meanwhile."""
        units, self.units = list(self.units.values()), {}
        engines, self._engines = self._engines, {}
        async with AsyncExitStack() as stack:
            if self._lock is not None:
                stack.callback(self._lock.release)
                self._lock = None
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.bus.close)
            if self._neighbours is not None:
                stack.push_async_callback(self._neighbours.close)
            if self._entrance is not None:
                stack.push_async_callback(self._entrance.aclose)
            for engine in engines.values():
                stack.push_async_callback(engine.close)
            for unit in units:
                stack.push_async_callback(unit.host.close)
            # Side by side: while one service finishes it may still ask another.
            await asyncio.gather(*(unit.quiet() for unit in units))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _chosen(system: System, only: str) -> list[Service]:
    names = [service.name for service in system.services]
    if only and only not in (GATEWAY, *names):
        raise ConfigurationError(
            f"service {only!r}", f"{system.name} has none of this name", f"It has: {', '.join([*names, GATEWAY])}"
        )
    return [service for service in system.services if only in ("", service.name)]
