"""`freehold reconcile`"""

from __future__ import annotations

import json as json_format
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import AsJson, print_line
from freehold.cli.progress import progress
from freehold.cli.service import open_services
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.operate.reconcile import Orphan


def reconcile(
    system: SystemName,
    grace: Annotated[str, typer.Option(help="How long a row may wait for what it refers to, like 10m or 1h.")] = "10m",
    repair: Annotated[bool, typer.Option("--repair", help="Do what each reference's on_missing says.")] = False,
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """Find rows that refer to rows of other services that are gone.

    Every soft reference is looked up at its owner, a page at a time. A line says which row refers to what, how old it
    is, and what its reference declares; --json prints one object a line. Ends with 1 when something remains that is
    neither kept by declaration nor repaired.

    \b
    Example:
      freehold reconcile petpro
      freehold reconcile petpro --grace 1h --repair --deploy prod
    """
    import asyncio

    from freehold.model.saga import duration

    try:
        window = duration(grace)
    except ValueError as error:
        raise ConfigurationError("--grace", str(error), "Write it like 10m or 1h") from None
    counted = asyncio.run(_reconcile(system, window, repair, deploy, json))
    told = ", ".join(f"{count} {what}" for what, count in sorted(counted.items())) or "no orphans"
    if not json:
        print_line(f"{system}: {told}", "" if counted else "green")
    raise typer.Exit(1 if counted["found"] else 0)


async def _reconcile(name: str, grace: timedelta, repair: bool, deploy: str, json: bool) -> Counter[str]:
    from freehold.operate.reconcile import reconcile as look

    system, counted = find_system(name), Counter[str]()
    async with open_services(system, [service.name for service in system.services], deploy) as hosts:
        now = next(iter(hosts.values())).clock.now()
        with progress(quiet=json) as report:
            async for orphan in look(system, hosts, grace=grace, repair=repair, report=report):
                outcome = "found" if orphan.remains else "repaired" if orphan.repaired else "kept"
                counted[outcome] += 1
                age = now - orphan.since if orphan.since is not None else None
                if json:
                    seconds = None if age is None else age.total_seconds()
                    print(json_format.dumps({**asdict(orphan), "age_seconds": seconds}, default=str))
                else:
                    print_line(_line(orphan, outcome, age), "" if outcome == "kept" else "yellow")
    return counted


def _line(orphan: Orphan, outcome: str, age: timedelta | None) -> str:
    row = ", ".join(f"{name}={value}" for name, value in orphan.row.items())
    old = "of unknown age" if age is None else f"{_rounded(age)} old"
    what = f"{orphan.reference} refers to {orphan.target} {orphan.value}, which is gone"
    return f"{outcome}: {what}; row {row}, {old} ({orphan.policy})"


def _rounded(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
