"""`freehold demo flash-sale`: a system under load by many buyers, and its books compared in the end."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import uvicorn
from sqlalchemy import func, select

from freehold.deploy.config import Deployment
from freehold.deploy.load import Report, drive
from freehold.deploy.process import Process
from freehold.deploy.server import listen
from freehold.identity import TokenIssuer
from freehold.model.access import User
from freehold.model.messages import Event
from freehold.model.system import System
from freehold.runtime.work import Work

E = TypeVar("E", bound=Event)
LOOK = 0.25
DRAIN = 120.0


@dataclass(frozen=True, slots=True)
class SaleOptions:
    """How big it is.

    Args:
        buyers: how many want seats.
        seats: how many there are.
        pay: the share of those granted who pay, 0 to 1.
        connections: open at a time.
        seconds: after so many no further buyer begins.
    """

    buyers: int = 5000
    seats: int = 1000
    pay: float = 0.0
    connections: int = 256
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Picture:
    """How it stands: what the client sees, and what the databases say."""

    report: Report
    counts: Mapping[str, int]


@dataclass(slots=True)
class Outcome:
    """How it ended.

    Args:
        report: of the client, over all.
        counts: what the databases say.
        missing: each seat, baht or event that is missing, in words; nothing when the books agree.
        summary: what there is, in words.
    """

    report: Report
    counts: Mapping[str, int]
    missing: list[str] = field(default_factory=list)
    summary: str = ""

    @property
    def line(self) -> str:
        """The one line."""
        if self.missing:
            return f"MISSING: {'; '.join(self.missing)}"
        return f"No seat, no baht and no event is missing: {self.summary}"


class Books:
    """What a scenario may look at in the running system."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def work(self, service: str) -> Work:
        """A service's unit of work."""
        return self._process.units[service].host.work()

    async def published(self, event: type[E]) -> list[E]:
        """Every event of this type in its owner's outbox, in order."""
        owner = next(service for service in self._process.system.services if event in service.publishes)
        host = self._process.units[owner.name].host
        table = host.tables.outbox
        mine = select(table.c.payload).where(table.c.event_type == event.__message__.name).order_by(table.c.seq)
        async with host.engine.read() as connection:
            return [event.model_validate_json(row.payload) for row in await connection.execute(mine)]


class Scenario(Protocol):
    """What a system's own module says of its sale."""

    VISITORS: str
    """`module:function` of the buyers' scripts; called with `sale`, `tokens` and `pay` in the client's process."""

    async def prepare(self, works: Mapping[str, Work], seats: int) -> Mapping[str, Any]:
        """Put something up for sale; what identifies it, as JSON can say it."""
        ...

    def people(self, number: int) -> Sequence[User]:
        """So many buyers."""
        ...

    async def count(self, books: Books, sale: Mapping[str, Any]) -> Mapping[str, int]:
        """For the live picture; `oversold` is among them."""
        ...

    async def reconcile(self, books: Books, sale: Mapping[str, Any], report: Report) -> tuple[list[str], str]:
        """Compare every database; what is missing, and what there is, in words."""
        ...


async def flash_sale(
    system: System,
    deployment: Deployment,
    scenario: Scenario,
    options: SaleOptions,
    *,
    on_picture: Callable[[Picture], None],
    temporary: bool,
) -> Outcome:
    """Run the system, let the buyers in over real HTTP, wait until every event is delivered, compare the books.

    Args:
        on_picture: told several times a second how it stands.
        temporary: keep embedded databases in a folder that goes with the demo.
    """
    with tempfile.TemporaryDirectory(prefix="freehold-demo-") as folder:
        changes: dict[str, Any] = {"rate_limits": False}
        if temporary:
            changes["data"] = Path(folder)
        async with Process(system, deployment.model_copy(update=changes)) as process, _serving(process) as port:
            return await _sell(process, port, scenario, options, on_picture)


@asynccontextmanager
async def _serving(process: Process) -> AsyncIterator[int]:
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(process.app, log_config=None, access_log=False, lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def _sell(
    process: Process, port: int, scenario: Scenario, options: SaleOptions, on_picture: Callable[[Picture], None]
) -> Outcome:
    books, system = Books(process), process.system
    works = {name: books.work(name) for name in process.units}
    sale = await scenario.prepare(works, options.seats)
    await _settle(process)
    assert system.auth is not None, "buyers need tokens"  # noqa: S101
    issuer = process.units[system.auth].host.provided.use(TokenIssuer)
    tokens = [issuer.issue(person) for person in scenario.people(options.buyers)]
    latest: list[Report] = []

    async def show() -> None:
        while True:
            await asyncio.sleep(LOOK)
            if latest:
                on_picture(Picture(latest[-1], await scenario.count(books, sale)))

    showing = asyncio.create_task(show())
    try:
        report = await drive(
            scenario.VISITORS, {"sale": sale, "tokens": tokens, "pay": options.pay}, port=port,
            connections=min(options.connections, options.buyers), seconds=options.seconds, on_report=latest.append,
        )  # fmt: skip
        await _settle(process)
    finally:
        showing.cancel()
    counts = await scenario.count(books, sale)
    on_picture(Picture(report, counts))
    missing, summary = await scenario.reconcile(books, sale, report)
    if report.lost:
        missing.append(f"{report.lost} requests were never answered")
    return Outcome(report, counts, [*missing, *await _undelivered(process)], summary)


async def _settle(process: Process) -> None:
    """Until every event is handled or parked, and every one that followed from it. Raises TimeoutError."""
    outboxes = [unit.host.outbox for unit in process.units.values()]
    async with asyncio.timeout(DRAIN):
        while True:
            before = [outbox.commits for outbox in outboxes]
            for outbox in outboxes:
                await outbox.until_drained()
            if before == [outbox.commits for outbox in outboxes] and not await _parked(process):
                return
            await asyncio.sleep(0.02)


async def _parked(process: Process) -> int:
    return sum([await _count(unit.host, unit.host.tables.parked) for unit in process.units.values()])


async def _undelivered(process: Process) -> list[str]:
    found = []
    for name, unit in process.units.items():
        table, dead = unit.host.tables.outbox, unit.host.tables.dead_letters
        if pending := await _count(unit.host, table, table.c.published_at.is_(None)):
            found.append(f"{name} has {pending} events that were not published")
        if lost := await _count(unit.host, dead, dead.c.status == "dead"):
            found.append(f"{name} has {lost} dead letters")
    return found


async def _count(host: Any, table: Any, *conditions: Any) -> int:
    async with host.engine.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table).where(*conditions)))
