"""`freehold describe`"""

from __future__ import annotations

from typing import Any

from freehold.cli.output import AsJson, print_json, print_table
from freehold.cli.systems import SystemName, find_system


def describe(system: SystemName, json: AsJson = False) -> None:
    """Show what a system declares.

    With --json everything: services, tables, events, commands, queries, sagas, views and routes. Reads the
    declarations only; nothing is started and no database is opened.

    \b
    Example:
      freehold describe booking_rush
      freehold describe booking_rush --json | jq '.events | keys'
    """
    from freehold.inspect import describe as look

    found = look(find_system(system))
    if json:
        print_json(found)
        return
    print_table(
        ("service", "owns", "publishes", "consumes", "handles", "asks", "sagas", "jobs", "routes"),
        [_row(name, service) for name, service in found["services"].items()],
    )


def _row(name: str, service: dict[str, Any]) -> list[object]:
    parts = ("tables", "publishes", "consumes", "handles", "asks", "sagas", "jobs")
    return [name, *(", ".join(service[part]) for part in parts), len(service["routes"])]
