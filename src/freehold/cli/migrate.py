"""`freehold migrate`"""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.output import print_table
from freehold.cli.service import open_service
from freehold.cli.systems import DeployName, SystemName, find_system


def migrate(
    system: SystemName,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only this one.", show_default="all")] = "",
    deploy: DeployName = "",
) -> None:
    """Make missing databases and tables.

    The toolkit's own tables are among them. What is there stays as it is, so that it can be run before every start.

    \b
    Example:
      freehold migrate booking_rush
      freehold migrate booking_rush auth --deploy prod
    """
    import asyncio

    asyncio.run(_migrate(system, service, deploy))


async def _migrate(name: str, only: str, deploy: str) -> None:
    system = find_system(name)
    rows = []
    for service in [only] if only else [service.name for service in system.services]:
        async with open_service(system, service, deploy) as host:
            await host.create_tables()
            rows.append((service, len(host.service.metadata.tables), host.engine.url))
    print_table(("service", "tables", "database"), rows)
