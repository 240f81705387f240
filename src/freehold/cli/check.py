"""`freehold check`"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from freehold.cli.output import AsJson, print_json, print_line
from freehold.cli.systems import SystemName, find_system

if TYPE_CHECKING:
    from freehold.inspect import Violation

STYLES = {"error": "bold red", "warning": "yellow"}


def check(system: SystemName, json: AsJson = False) -> None:
    """Find what does not fit together.

    Looks at ownership, references, imports, events, queries, commands, sagas and routes. Each finding says which rule
    it breaks, where, and what to do. Ends with 1 when there is an error, so that a pipeline stops; warnings do not
    count.

    \b
    Example:
      freehold check booking_rush
      freehold check booking_rush --json > findings.json
    """
    from freehold.inspect import RULES
    from freehold.inspect import check as look

    found = look(find_system(system))
    errors = sum(violation.severity == "error" for violation in found)
    if json:
        print_json({"system": system, "errors": errors, "violations": [asdict(violation) for violation in found]})
    else:
        for violation in found:
            print_line(str(violation), STYLES[violation.severity])
        print_line(f"{system}: {_summary(found, errors)} ({len(RULES)} rules)", "" if found else "green")
    raise typer.Exit(1 if errors else 0)


def _summary(found: list[Violation], errors: int) -> str:
    if not found:
        return "all is well"
    return ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (len(found) - errors, "warning"))
        if count
    )
