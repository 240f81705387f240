"""`freehold demo flash-sale`: a system under load by many buyers, and its books compared in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from freehold.deploy.config import Deployment
from freehold.deploy.load import Report, drive
from freehold.deploy.load.site import Books, Site, open_site
from freehold.model.access import User
from freehold.model.system import System
from freehold.runtime.work import Work

LOOK = 0.25


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
    async with open_site(system, deployment, temporary=temporary, rate_limits=False) as site:
        return await _sell(site, scenario, options, on_picture)


async def _sell(site: Site, scenario: Scenario, options: SaleOptions, on_picture: Callable[[Picture], None]) -> Outcome:
    books = Books(site.process)
    sale = await scenario.prepare(books.works(), options.seats)
    await site.settle()
    tokens = site.tokens(scenario.people(options.buyers))
    latest: list[Report] = []

    async def show() -> None:
        while True:
            await asyncio.sleep(LOOK)
            if latest:
                on_picture(Picture(latest[-1], await scenario.count(books, sale)))

    showing = asyncio.create_task(show())
    try:
        report = await drive(
            scenario.VISITORS, {"sale": sale, "tokens": tokens, "pay": options.pay}, port=site.port,
            connections=min(options.connections, options.buyers), seconds=options.seconds, on_report=latest.append,
        )  # fmt: skip
        await site.settle()
    finally:
        showing.cancel()
    counts = await scenario.count(books, sale)
    on_picture(Picture(report, counts))
    missing, summary = await scenario.reconcile(books, sale, report)
    if report.lost:
        missing.append(f"{report.lost} requests were never answered")
    return Outcome(report, counts, [*missing, *await site.undelivered()], summary)
