"""`freehold check`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.cli.output import AsJson, print_json, print_line
from freehold.cli.systems import DeployName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freehold.inspect import CheckSettings, Rule, Violation
    from freehold.model.system import System

STYLES = {"error": "bold red", "warning": "yellow"}


def check(
    system: Annotated[
        str, typer.Argument(metavar="[SYSTEM]", help="A name, or package.module:attribute.", show_default=False)
    ] = "",
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also try the databases, with each service's own credentials.")
    ] = False,
    deploy: DeployName = "",
    json: AsJson = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for code scanning.")] = False,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Accept the findings in this file.", show_default=False),
    ] = None,
    create_baseline: Annotated[
        bool, typer.Option("--create-baseline", help="Write the file, with all that is found now.")
    ] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Strike from the file what is no longer found.")
    ] = False,
    explain: Annotated[
        str, typer.Option("--explain", metavar="CODE", help="Print the page of a rule, and end.", show_default=False)
    ] = "",
) -> None:
    """Find what does not fit together.

    Looks at ownership, references, imports, events, queries, commands, sagas, routes, views and secrets. Each finding
    says which rule it breaks, where, and what to do. Ends with 1 when there is an error, so that a pipeline stops;
    warnings do not count. Ends with 2 when it is asked or configured wrongly.

    [check] in freehold.toml says which rules apply and what is meant to be as it is. With --live each service's own
    credentials try to read, write and change every other service's tables as well. That changes nothing, even where it
    is allowed.

    \b
    Example:
      freehold check booking_rush
      freehold check booking_rush --live --deploy prod
      freehold check booking_rush --sarif > findings.sarif
      freehold check booking_rush --baseline accepted.json --update-baseline
      freehold check --explain FH010
    """
    if explain:
        _explain(explain)
    _check_options(system, live=live, deploy=deploy, formats=(json, sarif))
    from freehold.inspect import ISOLATION_RULES, RULES, CheckSettings
    from freehold.inspect import check as look

    named, settings = find_system(system), CheckSettings.read()
    every: list[Rule[Any]] = [*RULES, *(ISOLATION_RULES if live else ())]
    rules = settings.applied(every)
    found = settings.judged([*look(named), *(_live(named, deploy) if live else ())])
    file = baseline or (Path(settings.baseline) if settings.baseline else None)
    told = ""
    if create_baseline or update_baseline or file:
        found, told = _compared(file, named, found, rules, create=create_baseline, update=update_baseline)
    errors = sum(violation.severity == "error" for violation in found)
    if json:
        print_json({"system": system, "errors": errors, "violations": [asdict(violation) for violation in found]})
    elif sarif:
        print_json(_sarif(named, found, settings, rules))
    else:
        for violation in found:
            print_line(str(violation), STYLES[violation.severity])
        print_line(f"{system}: {_summary(found, errors)} ({len(rules)} rules{told})", "" if found else "green")
    raise typer.Exit(1 if errors else 0)


def _check_options(system: str, *, live: bool, deploy: str, formats: Sequence[bool]) -> None:
    if not system:
        raise ConfigurationError("SYSTEM", "is not given", "Say what to check: freehold check SYSTEM")
    if deploy and not live:
        raise ConfigurationError("--deploy", "says which databases to try, and only --live does that", "Add --live")
    if all(formats):
        raise ConfigurationError("--sarif", "is one format and --json another", "Give one of them")


def _explain(code: str) -> None:
    from freehold.inspect import ALL_RULES, page

    if code not in {rule.code for rule in ALL_RULES}:
        known = ", ".join(sorted(rule.code for rule in ALL_RULES))
        raise ConfigurationError(f"--explain {code}", "is no rule", f"There are: {known}")
    print(page(code), end="")
    raise typer.Exit


def _compared(
    file: Path | None,
    system: System,
    found: list[Violation],
    rules: Sequence[Rule[Any]],
    *,
    create: bool,
    update: bool,
) -> tuple[list[Violation], str]:
    """What the baseline leaves, and what was done to it."""
    from freehold.inspect import Baseline

    if file is None:
        raise ConfigurationError("--baseline", "is not given", "Name the file, here or as `baseline` under [check]")
    if create:
        made = Baseline.create(file, system.name, found)
        return made.compared(found, rules), f"; accepted in {file}: {len(found)}"
    accepted = Baseline.read(file, system.name)
    told = f"; struck from {file}: {accepted.shrink(found, rules)}" if update else ""
    return accepted.compared(found, rules), told


def _sarif(
    system: System, found: list[Violation], settings: CheckSettings, rules: Sequence[Rule[Any]]
) -> dict[str, Any]:
    from freehold.inspect import ALL_RULES, sarif

    reported = {rule.code for rule in rules} | {violation.code for violation in found}
    applied = [rule for rule in ALL_RULES if rule.code in reported]
    home = next((each.file for each in found if each.file), "freehold.toml")
    return sarif(found, applied, otherwise=home, pages=settings.pages)


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
