"""A whole system in one process: every service on its own database, a bus between them, the gateway in front."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from freehold.buses.factory import open_bus
from freehold.deploy.config import Deployment
from freehold.deploy.databases import data_folder, open_databases, reach
from freehold.deploy.identities import Identities
from freehold.deploy.lock import FolderLock
from freehold.deploy.objects import deployed_objects, gateway_objects, object_checks
from freehold.deploy.settings import read_settings
from freehold.deploy.unit import Unit
from freehold.engines import open_engine
from freehold.http import Draining, gateway_app, service_app
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock, DataFolder, Engine, SystemClock
from freehold.model.system import System
from freehold.model.topology import Topology
from freehold.runtime.calls import LocalCaller
from freehold.runtime.host import Host
from freehold.runtime.lease import TTL
from freehold.runtime.relay import RelaySettings
from freehold.stores.objects import Objects


class Process:
    """A system running here.

        async with Process(system, deployment) as process:
            ...                                  # process.app is the gateway, an ASGI application

    Starting makes databases, tables and keys that are missing, and takes the data folder for this process alone.

    Args:
        system: what to run.
        deployment: where its data lives.
        clock: where the time comes from.
        given: things by type that win over settings and over what services provide; tests substitute with it.
        timers: False starts no jobs, retries and deadlines of their own accord: whoever moves the clock runs them.
        relay: sizes and times of the relays.
        call_timeout: seconds that a call between services may take, when None as many as its query says.
    """

    def __init__(
        self,
        system: System,
        deployment: Deployment,
        *,
        clock: Clock | None = None,
        given: Mapping[type[Any], Any] | None = None,
        timers: bool = True,
        relay: RelaySettings | None = None,
        call_timeout: float | None = None,
    ) -> None:
        self.system = system
        self.deployment = deployment
        self.clock: Clock = clock or SystemClock()
        self.units: dict[str, Unit] = {}
        topology = Topology.of(system, partitions=deployment.partitions, by_topic=deployment.topics)
        self.bus = open_bus(deployment.bus, topology)
        self.draining = Draining()
        self._given = given or {}
        self._timers = timers
        self._relay = relay
        self._call_timeout = call_timeout
        self._lock: FolderLock | None = None
        self._engines: dict[str, Engine] = {}

    async def start(self) -> None:
        """Make what is missing and run. Raises ConfigurationError when something cannot be had."""
        settings = {service.name: read_settings(service, self.deployment) for service in self.system.services}
        folder = data_folder(self.system, self.deployment)
        self._lock = FolderLock(folder)
        try:
            engines = await self._open_engines()
            self._identities = Identities.open(self.system, folder, self.clock)
            self._objects = deployed_objects(self.deployment, folder, self.clock)
            await self._open_units(engines, settings, self._lock)
            await asyncio.gather(*map(self._claim, self.units.values()))
            self.app = self._gateway()
            for unit in self.units.values():
                await unit.prepare()
        except BaseException:
            await self.stop()
            raise
        for unit in self.units.values():
            unit.start(timers=self._timers)

    async def _open_engines(self) -> Mapping[str, Engine]:
        """Every service's database, reached, before anything is made in one of them."""
        urls = await open_databases(self.system, self.deployment)
        self._engines = {service.name: open_engine(urls[service.name]) for service in self.system.services}
        for service, engine in self._engines.items():
            await reach(engine, service)
        return self._engines

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

    async def _open_units(
        self, engines: Mapping[str, Engine], settings: Mapping[str, Mapping[type[Any], Any]], lock: FolderLock
    ) -> None:
        hosts: dict[str, Host] = {}
        caller = LocalCaller(self.system, hosts, timeout=self._call_timeout)
        for service in self.system.services:
            given = {
                **settings[service.name],
                **self._identities.given(service.name),
                DataFolder: DataFolder(data_folder(self.system, self.deployment)),
                Objects: self._objects,
                **self._given,
            }
            engine = engines[service.name]
            host = Host(
                self.system,
                service,
                engine,
                clock=self.clock,
                caller=caller,
                given=given,
                identity=f"{service.name}-{lock.identity}",
                predecessor=f"{service.name}-{lock.predecessor}",
            )
            hosts[service.name] = host
            self.units[service.name] = Unit(host, self.bus, relay=self._relay)
            await host.create_tables()

    def _gateway(self) -> Any:
        verifier = self._identities.verifier()
        self.apps = {
            name: service_app(
                unit.host,
                verifier=verifier,
                service_verifier=self._identities.service_verifier(name),
                key_ring=self._identities.users if name == self.system.auth else None,
                bus=self.bus,
                checks=object_checks(unit.host.service, self._objects),
                draining=self.draining,
            )
            for name, unit in self.units.items()
        }
        return gateway_app(
            self.system,
            self.apps,
            limited=self.deployment.rate_limits,
            queue_passes=self._identities.queue_passes() if self.deployment.queue_mode else None,
            objects=gateway_objects(self.system, self._objects),
            draining=self.draining,
        )

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
            stack.push_async_callback(self.bus.close)
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
