"""`freehold run`"""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.systems import DeployName, SystemName, find_system


def run(
    system: SystemName,
    deploy: DeployName = "",
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.", show_default="8080")] = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Load demo data into empty databases first.")] = True,
) -> None:
    """Run a whole system: every service, the bus between them and the gateway in front, in one process.

    Makes what is missing (databases, tables, keys) and runs until it is stopped by Ctrl-C or SIGTERM, then finishes the
    requests at work. Without --deploy it needs nothing else: each service has a SQLite file under .freehold.

    \b
    Example:
      freehold run booking_rush
      freehold run booking_rush --deploy prod --host 0.0.0.0 --port 80 --no-demo
    """
    import asyncio

    from freehold.deploy import run as start
    from freehold.deploy.config import read

    found = find_system(system)
    deployment = read(found, deploy, host=host, port=port)

    def ready(address: str) -> None:
        title = found.title or found.name
        print_line(f"{title} answers at {address}{found.gateway.prefix}")
        print_line(f"  documentation  {address}/docs")
        print_line(f"  metrics        {address}/metrics")

    asyncio.run(start(found, deployment, demo=demo, on_ready=ready))
