"""`freehold views`"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.service import open_services
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.model.derived import Derived
    from freehold.model.system import System
    from freehold.model.view import View
    from freehold.runtime.views import ViewReport


class Action(StrEnum):
    """What is done to a view."""

    REBUILD = "rebuild"


Chosen = Annotated[str, typer.Argument(metavar="SERVICE.VIEW", help="Which to rebuild.", show_default=False)]


def views(
    system: SystemName,
    action: Annotated[
        Action | None, typer.Argument(metavar="ACTION", help="rebuild; without it they are listed.")
    ] = None,
    view: Chosen = "",
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """List the views, or rebuild one from its owner.

    The list says of each whether it is being rebuilt, how often it was (generation), how many rows it has, how many
    seconds behind it is (the age of the oldest event that waits for it), and the moment of its newest change.

    A rebuild reads the owner's rows into a copy and takes it over in one step; readers and events go on meanwhile. It
    works beside the running system. One that was cut short goes on where it was.

    \b
    Example:
      freehold views booking_rush
      freehold views booking_rush --json
      freehold views booking_rush rebuild booking.user_directory
    """
    import asyncio

    if action is None:
        _print(asyncio.run(_list(find_system(system), deploy)), json)
        return
    if not view:
        raise ConfigurationError("views rebuild", "which one is not said", "Give SERVICE.VIEW, as the list prints it")
    rows = asyncio.run(_rebuild(find_system(system), view, deploy))
    if json:
        print_json({"view": view, "rows": rows})
    else:
        print_line(f"{view} rebuilt: {rows} rows")


def _print(reports: dict[str, ViewReport], json: bool) -> None:
    if json:
        print_json([{"view": name, **asdict(report)} for name, report in reports.items()])
        return
    columns = ("state", "generation", "rows", "behind_seconds", "newest")
    lines = [[name, *(getattr(report, column) for column in columns)] for name, report in reports.items()]
    print_table(("view", *columns), lines)


async def _list(system: System, deploy: str) -> dict[str, ViewReport]:
    names = [service.name for service in system.services if service.views]
    reports: dict[str, ViewReport] = {}
    async with open_services(system, names, deploy) as hosts:
        for name, host in hosts.items():
            for view in host.service.every_view():
                reports[f"{name}.{view.name}"] = await host.views.report(view.name)
    return reports


async def _rebuild(system: System, chosen: str, deploy: str) -> int:
    from freehold.model.derived import Derived

    service, view = _find(system, chosen)
    sources = list(view.followed) if isinstance(view, Derived) else [view]
    answerers = [system.answerer(query) for source in sources for query in source.snapshots]
    owners = {owner.name for owner in answerers if owner is not None}
    async with open_services(system, [service, *sorted(owners - {service})], deploy) as hosts:
        return await hosts[service].views.rebuild(view.name)


def _find(system: System, chosen: str) -> tuple[str, View | Derived]:
    known = {
        f"{service.name}.{view.name}": (service.name, view)
        for service in system.services
        for view in service.every_view()
    }
    if chosen not in known:
        has = f"It has: {', '.join(known)}" if known else "Declare one with service.view(View(…))"
        raise ConfigurationError(f"view {chosen!r}", f"{system.name} has none of this name", has)
    return known[chosen]
