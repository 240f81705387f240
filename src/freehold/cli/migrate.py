"""`freehold migrate`, `freehold revision`, `freehold drift`: services' tables, from one version to the next."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.service import chosen_services, open_databases_of
from freehold.cli.systems import DeployName, SystemName, find_system

if TYPE_CHECKING:
    from freehold.deploy.migrations.migrate import Planned

ServiceName = Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only this one.", show_default="all")]


def migrate(
    system: SystemName,
    service: ServiceName = "",
    deploy: DeployName = "",
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    contract: Annotated[
        bool,
        typer.Option("--contract", help="Also what processes of the version before could trip over."),
    ] = False,
) -> None:
    """Bring databases to the version of this code.

    A fresh database is made as the models say. One that is there goes on revision by revision, the toolkit's own
    tables first. Before a revision that takes something away it stops, unless --contract says that no process of the
    version before runs any more. It can be run before every start, and again after whatever ended it.

    \b
    Example:
      freehold migrate booking_rush --deploy prod --plan
      freehold migrate booking_rush --deploy prod
      freehold migrate booking_rush auth --deploy prod --contract
    """
    import asyncio

    if plan:
        asyncio.run(_plan(system, service, deploy))
    else:
        asyncio.run(_migrate(system, service, deploy, contract))


async def _migrate(name: str, only: str, deploy: str, contract: bool) -> None:
    from freehold.deploy.migrations.migrate import Migrations

    system = find_system(name)
    rows, waiting = [], []
    async with open_databases_of(system, [only] if only else [], deploy) as engines:
        for service, engine in engines.items():
            migrations = Migrations(system.service(service), engine)
            done = await migrations.migrate(contract=contract)
            own = (await migrations.standing())[1]
            waiting += [(service, planned) for planned in await migrations.plan()]
            rows.append((service, own.revision or "-", _names(done), engine.url))
    print_table(("service", "revision", "run", "database"), rows)
    for service, planned in waiting:
        print_line(f"{service}: {planned.revision.name} waits: {_why(planned)}. Run it by --contract", "yellow")


async def _plan(name: str, only: str, deploy: str) -> None:
    from freehold.deploy.migrations.migrate import Migrations

    system, nothing = find_system(name), True
    async with open_databases_of(system, [only] if only else [], deploy, make=False) as engines:
        for service, engine in engines.items():
            migrations = Migrations(system.service(service), engine)
            if any(each.is_fresh for each in await migrations.standing()):
                print_line(f"{service}: tables are made as the models say, in {engine.url}", "bold")
                nothing = False
            for planned in await migrations.plan():
                nothing = False
                marked = ", contract" if planned.contracts else ""
                print_line(f"{service}: {planned.history} {planned.revision.name}{marked}", "bold")
                for step in planned.steps:
                    print_line(f"  {step.text}" + (f"  -- contract: {step.breaks}" if step.breaks else ""))
                    for statement in step.sql:
                        print_line("\n".join(f"      {line}" for line in statement.splitlines()))
    if nothing:
        print_line("Nothing is to be done")


def revision(
    system: SystemName,
    service: Annotated[str, typer.Argument(help="Whose tables have changed.", show_default=False)],
    message: Annotated[str, typer.Option("--message", "-m", help="What is changed, in a few words.")],
) -> None:
    """Write a revision: what the models say beyond the service's history.

    Compares them with what all revisions make of an empty scratch database, and writes the difference into
    migrations/ in the service's folder. What takes something away becomes a second revision, for a later deployment.
    Read what it wrote before you keep it: it cannot know where values should come from, and takes a new name for a new
    thing. The first revision of a service holds all its tables.

    \b
    Example:
      freehold revision booking_rush booking -m "bookings have a note"
    """
    import asyncio

    from freehold.deploy.migrations.author import write_revision

    (found,) = chosen_services(find_system(system), [service])
    written = asyncio.run(write_revision(found, message))
    for path in written:
        print_line(os.path.relpath(path))
    if not written:
        print_line("The history says all that the models say: nothing is written")


def drift(system: SystemName, service: ServiceName = "", deploy: DeployName = "", json: AsJson = False) -> None:
    """Find where databases differ from the models.

    Compares tables, columns, types, NULL, keys, indexes and the names of checks, the toolkit's own tables included, and
    changes nothing. Ends with 1 when something differs.

    \b
    Example:
      freehold drift booking_rush --deploy prod
    """
    import asyncio

    found = asyncio.run(_drift(system, service, deploy))
    if json:
        print_json([{"service": name, "difference": difference} for name, difference in found])
    else:
        for name, difference in found:
            print_line(f"{name}: {difference}", "yellow")
        print_line(f"{len(found)} differences" if found else "Every database is as the models say")
    raise typer.Exit(1 if found else 0)


async def _drift(name: str, only: str, deploy: str) -> list[tuple[str, str]]:
    from freehold.deploy.migrations.migrate import Migrations

    system = find_system(name)
    async with open_databases_of(system, [only] if only else [], deploy, make=False) as engines:
        return [
            (service, str(difference))
            for service, engine in engines.items()
            for difference in await Migrations(system.service(service), engine).drift()
        ]


def _names(done: list[Planned]) -> str:
    return ", ".join(planned.revision.name for planned in done) or "-"


def _why(planned: Planned) -> str:
    return next((f"{step.text}, and {step.breaks}" for step in planned.steps if step.breaks), "it follows such a one")
