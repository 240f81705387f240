"""A system under load: served on this machine, in a folder of its own if wanted, and its books at hand."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from sqlalchemy import func, select

from freehold.deploy.config import Deployment
from freehold.deploy.process import Process
from freehold.deploy.server import accepting, listen
from freehold.identity import TokenIssuer
from freehold.model.access import User
from freehold.model.errors import ConfigurationError
from freehold.model.messages import Event
from freehold.model.system import System
from freehold.runtime.host import Host
from freehold.runtime.work import Work

E = TypeVar("E", bound=Event)
DRAIN = 120.0


class Books:
    """What a scenario may look at in the running system."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def work(self, service: str) -> Work:
        """A service's unit of work."""
        return self._process.units[service].host.work()

    def works(self) -> Mapping[str, Work]:
        """All of them, by service."""
        return {name: self.work(name) for name in self._process.units}

    async def published(self, event: type[E]) -> list[E]:
        """Every event of this type in its owner's outbox, in order."""
        owner = next(service for service in self._process.system.services if event in service.publishes)
        host = self._process.units[owner.name].host
        table = host.tables.outbox
        mine = select(table.c.payload).where(table.c.event_type == event.__message__.name).order_by(table.c.seq)
        async with host.engine.read() as connection:
            return [event.model_validate_json(row.payload) for row in await connection.execute(mine)]


@dataclass(frozen=True, slots=True)
class Site:
    """A running process that answers at a port."""

    process: Process
    port: int

    def tokens(self, people: Sequence[User]) -> list[str]:
        """An access token for each, as the auth service would issue it. Raises ConfigurationError."""
        auth = self.process.system.auth
        if not people:
            return []
        if auth is None:
            raise ConfigurationError("load", "the system has no auth service", "Name the one in System(auth=...)")
        issuer = self.process.units[auth].host.provided.use(TokenIssuer)
        return [issuer.issue(person) for person in people]

    async def settle(self) -> None:
        """Wait until every event is handled, and every one that followed from it. Raises TimeoutError."""
        async with asyncio.timeout(DRAIN):
            await self.process.settle()
            while await self._parked():
                await asyncio.sleep(0.02)
                await self.process.settle()

    async def _parked(self) -> int:
        hosts = [unit.host for unit in self.process.units.values()]
        return sum([await _count(host, host.tables.parked) for host in hosts])

    async def undelivered(self) -> list[str]:
        """Events that reached nobody, in words."""
        found = []
        for name, unit in self.process.units.items():
            table, dead = unit.host.tables.outbox, unit.host.tables.dead_letters
            if pending := await _count(unit.host, table, table.c.published_at.is_(None)):
                found.append(f"{name} has {pending} events that were not published")
            if lost := await _count(unit.host, dead, dead.c.status == "dead"):
                found.append(f"{name} has {lost} dead letters")
        return found


@asynccontextmanager
async def open_site(system: System, deployment: Deployment, *, temporary: bool, **changes: Any) -> AsyncIterator[Site]:
    """Run and serve a system.

    Args:
        temporary: keep its data in a folder that goes with it.
        changes: to the deployment.
    """
    with tempfile.TemporaryDirectory(prefix="freehold-load-") as folder:
        if temporary:
            changes["data"] = Path(folder)
        async with Process(system, deployment.model_copy(update=changes)) as process, _serving(process) as port:
            yield Site(process, port)


@asynccontextmanager
async def _serving(process: Process) -> AsyncIterator[int]:
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(process.app, log_config=None, access_log=False, lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=accepting(listening)))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def _count(host: Host, table: Any, *conditions: Any) -> int:
    async with host.engine.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0)
