"""`freehold load-test`: one of a system's load shapes over real HTTP, its marks, and every database in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.load import follow
from freehold.deploy.load.site import Books, Site, open_site
from freehold.model.errors import ConfigurationError
from freehold.model.load import LoadMark, LoadReport, LoadShape, LoadShapes, LoadTimes
from freehold.model.system import System

PEOPLE = 10_000
CONNECTIONS = 512


@dataclass(frozen=True, slots=True)
class Picture:
    """How it stands.

    Args:
        phase: which one it is in.
        load: by now.
        recent: of the latest quarter of a second.
        counts: what the system's databases say.
    """

    phase: str
    load: LoadReport
    recent: LoadTimes
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended."""

    load: LoadReport
    counts: Mapping[str, int]
    marks: Sequence[LoadMark]

    @property
    def missed(self) -> list[LoadMark]:
        """The marks that do not hold."""
        return [mark for mark in self.marks if mark.holds is False]


def shapes_of(system: System) -> LoadShapes:
    """What the system declares. Raises ConfigurationError when that is nothing, or something else."""
    module, _, name = system.load_shapes.partition(":")
    found = getattr(import_module(module), name, None) if module else None
    if not isinstance(found, LoadShapes):
        raise ConfigurationError(
            f"system {system.name}",
            f"has no load shapes{f' at {system.load_shapes}' if module else ''}",
            "Declare a LoadShapes and name it in System(load_shapes='module:NAME')",
        )
    return found


def find_shape(system: System, name: str) -> LoadShape:
    """The shape of this name. Raises ConfigurationError."""
    shapes = shapes_of(system).shapes
    if name not in shapes:
        raise ConfigurationError(f"shape {name!r}", "there is none of this name", f"There are: {', '.join(shapes)}")
    return shapes[name]


async def load_test(
    system: System,
    deployment: Deployment,
    shape: LoadShape,
    *,
    on_picture: Callable[[Picture], None],
    temporary: bool,
    people: int = PEOPLE,
) -> Result:
    """Run the system, let the visitors come, wait until every event is delivered, compare the books.

    Args:
        shape: as it is to be run: scaled.
        on_picture: told several times a second how it stands.
        temporary: keep embedded databases in a folder that goes with the test, with the shape's own settings.
        people: so many different visitors.
    """
    services = dict(deployment.services)
    for name, settings in shape.settings.items() if temporary else ():
        old = deployment.service(name)
        services[name] = ServiceDeployment(database=old.database, settings={**settings, **old.settings})
    changes = {"rate_limits": shape.rate_limits, "services": services}
    async with open_site(system, deployment, temporary=temporary, **changes) as site:
        return await _run(site, shapes_of(system), shape, on_picture, people)


async def _run(
    site: Site, shapes: LoadShapes, shape: LoadShape, on_picture: Callable[[Picture], None], people: int
) -> Result:
    books = Books(site.process)
    sale = await shapes.prepare(books.works(), shape.seats)
    await site.settle()
    latest: list[tuple[str, LoadReport, LoadTimes]] = []

    async def show() -> None:
        shown = None
        while True:
            await asyncio.sleep(0.1)
            if latest and latest[-1] is not shown:
                shown = latest[-1]
                on_picture(Picture(*shown, await shapes.count(books, sale)))

    showing = asyncio.create_task(show())
    try:
        load = await follow(
            shape.phases, {"sale": sale, "tokens": site.tokens(shapes.people(people))}, port=site.port,
            connections=CONNECTIONS, on_load=lambda *told: latest.append(told),
        )  # fmt: skip
        await site.settle()
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
    undelivered = await site.undelivered()
    marks = [
        *shape.judge(load),
        *await shapes.reconcile(books, sale, load),
        LoadMark("every event delivered", "; ".join(undelivered) or "all", not undelivered),
    ]
    return Result(load, await shapes.count(books, sale), marks)
