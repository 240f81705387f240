"""`freehold check`"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import AsJson, print_json, print_line
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.inspect import Violation
    from freehold.model.system import System

STYLES = {"error": "bold red", "warning": "yellow"}


def check(
    system: SystemName,
    live: Annotated[
        bool, typer.Option("--live", help="Also try the databases, with each service's own credentials.")
    ] = False,
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """Find what does not fit together.

    Looks at ownership, references, imports, events, queries, commands, sagas and routes. Each finding says which rule
    it breaks, where, and what to do. Ends with 1 when there is an error, so that a pipeline stops; warnings do not
    count.

    With --live each service's own credentials try to read, write and change every other service's tables as well.
    That changes nothing, even where it is allowed.

    \b
    Example:
      freehold check booking_rush
      freehold check booking_rush --live --deploy prod
      freehold check booking_rush --json > findings.json
    """
    from freehold.inspect import ISOLATION_RULES, RULES
    from freehold.inspect import check as look

    if deploy and not live:
        raise ConfigurationError("--deploy", "says which databases to try, and only --live does that", "Add --live")
    named = find_system(system)
    found = [*look(named), *(_live(named, deploy) if live else ())]
    rules = len(RULES) + (len(ISOLATION_RULES) if live else 0)
    errors = sum(violation.severity == "error" for violation in found)
    if json:
        print_json({"system": system, "errors": errors, "violations": [asdict(violation) for violation in found]})
    else:
        for violation in found:
            print_line(str(violation), STYLES[violation.severity])
        print_line(f"{system}: {_summary(found, errors)} ({rules} rules)", "" if found else "green")
    raise typer.Exit(1 if errors else 0)


def _live(system: System, deploy: str) -> list[Violation]:
    import asyncio

    from freehold.deploy.config import read
    from freehold.deploy.databases import find_databases
    from freehold.inspect import check_isolation

    async def tried() -> list[Violation]:
        return await check_isolation(system, await find_databases(system, read(system, deploy)))

    return asyncio.run(tried())


def _summary(found: list[Violation], errors: int) -> str:
    if not found:
        return "all is well"
    return ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (len(found) - errors, "warning"))
        if count
    )
