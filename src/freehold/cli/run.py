"""`freehold run`"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.progress import progress
from freehold.cli.systems import DeployName, SystemName, find_system

if TYPE_CHECKING:
    from freehold.deploy.config import Deployment
    from freehold.deploy.process import Process
    from freehold.model.system import System


def run(
    system: SystemName,
    deploy: DeployName = "",
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.", show_default="8080")] = None,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="Load the demo data first, where it is missing.")
    ] = True,
) -> None:
    """Run a whole system in one process.

    That is every service, the bus between them and the gateway in front. Makes what is missing (databases, tables,
    keys) and runs until Ctrl-C or SIGTERM, then finishes the requests at work. Without --deploy it needs nothing
    else: each service has a SQLite file under .freehold.

    \b
    Example:
      freehold run booking_rush
      freehold run booking_rush --deploy prod --host 0.0.0.0 --port 80 --no-demo
    """
    import uvloop

    from freehold.deploy.config import read
    from freehold.observe.logs import configure_logging

    configure_logging()
    found = find_system(system)
    uvloop.run(_run(found, read(found, deploy, host=host, port=port), demo))


async def _run(system: System, deployment: Deployment, demo: bool) -> None:
    from freehold.deploy.run import run as serve

    with ExitStack() as loading:
        report = loading.enter_context(progress())

        def ready(address: str, _: Process) -> None:
            loading.close()
            print_line(f"{system.title or system.name} answers at {address}{system.gateway.prefix}", "bold")
            print_line(f"  documentation  {address}/docs")
            print_line(f"  metrics        {address}/metrics")

        await serve(system, deployment, demo=demo, progress=report, on_ready=ready)
