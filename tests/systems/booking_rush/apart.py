"""Booking Rush with a process for each service, all of them in this one, so that a test moves the time of all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from freehold import System
from freehold.deploy.config import GATEWAY, Deployment, ServiceDeployment
from freehold.deploy.process import Process
from freehold.deploy.server import listen
from freehold.model.topology import Topology
from freehold.runtime.work import Work
from freehold.testing import ManualClock
from freehold.testing.deliveries import OnTheWay, WatchedBus
from freehold.testing.world import DEADLINE, PARTITIONS


class Apart:
    """Every service is a `Process` of its own, with its own keys and its own connections to its own database.

    They meet as processes do: by events over a broker, by calls over HTTP, by the keys that each publishes.

    Args:
        processes: by service.
        gateway: its base URL.
        clock: of all.
        on_the_way: events between them.
    """

    def __init__(
        self, processes: Mapping[str, Process], gateway: str, clock: ManualClock, on_the_way: OnTheWay
    ) -> None:
        self.processes = processes
        self.clock = clock
        self.http = httpx.AsyncClient(base_url=gateway, timeout=DEADLINE, trust_env=False)
        self._on_the_way = on_the_way

    def work(self, service: str) -> Work:
        """The unit of work of a service."""
        return self.processes[service].units[service].host.work()

    async def advance(self, **parts: float) -> None:
        """Move the time of all, and let each service do what is due."""
        self.clock.advance(**parts)
        for name, process in self.processes.items():
            await process.units[name].run_due()
            await self.settle()

    async def settle(self) -> None:
        """Wait until every event and all that follows from it is handled."""
        async with asyncio.timeout(DEADLINE):
            while True:
                commits = self._commits()
                for process in self.processes.values():
                    await process.settle()
                await self._on_the_way.until_empty()
                if commits == self._commits():
                    return

    def _commits(self) -> list[int]:
        return [process.units[name].host.outbox.commits for name, process in self.processes.items()]


@asynccontextmanager
async def apart(
    system: System, urls: Mapping[str, str], bus: str, *, given: Mapping[type[Any], Any], folder: Path
) -> AsyncIterator[Apart]:
    """Start the services and the gateway, each where the others expect it."""
    clock, on_the_way = ManualClock(), OnTheWay(Topology.of(system, partitions=PARTITIONS))
    names = [service.name for service in system.services]
    async with AsyncExitStack() as stack:
        sockets = {name: stack.enter_context(listen("127.0.0.1", 0)) for name in (*names, GATEWAY)}
        addresses = {name: f"http://127.0.0.1:{opened.getsockname()[1]}" for name, opened in sockets.items()}
        services = {name: ServiceDeployment(database=urls.get(name, ""), address=addresses[name]) for name in names}
        processes = {}
        for name in (*names, GATEWAY):
            process = Process(
                system,
                Deployment(data=folder / name, services=services, bus=bus, partitions=PARTITIONS, rate_limits=False),
                only=name, clock=clock, given=given, timers=False, call_timeout=DEADLINE,
            )  # fmt: skip
            process.bus = WatchedBus(process.bus, on_the_way)
            processes[name] = await stack.enter_async_context(process)
            await stack.enter_async_context(_serving(process, sockets[name]))
        del processes[GATEWAY]
        site = Apart(processes, addresses[GATEWAY], clock, on_the_way)
        await stack.enter_async_context(site.http)
        yield site


class _Server(uvicorn.Server):
    """Leaves this process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(process: Process, listening: socket.socket) -> AsyncIterator[None]:
    server = _Server(uvicorn.Config(process.app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
