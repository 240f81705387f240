"""`freehold up`: every service of a system as its own process."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.progress import progress
from freehold.cli.systems import DeployName, SystemName, find_system

if TYPE_CHECKING:
    from freehold.deploy.config import Deployment
    from freehold.model.system import System


def up(
    system: SystemName,
    deploy: DeployName = "",
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="The gateway's port; the services' follow it.", show_default="8080")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="Load the demo data first, where it is missing.")
    ] = False,
) -> None:
    """Run a whole system with a process for each service, and one for the gateway.

    Makes the databases that are missing, starts every service in as many processes as it has workers, shows in one
    stream what they write, and starts again what dies. The deployment's bus must be a broker. Each process knows its
    own database only. Ctrl-C or SIGTERM stops all of them after the requests at work; a second time, at once.

    \\b
    Example:
      FREEHOLD_DATABASE_SERVER=postgresql://… freehold up booking_rush --deploy kafka --demo
    """
    import asyncio

    from freehold.cli.streams import Stream
    from freehold.deploy.config import read
    from freehold.deploy.supervisor import Misconfigured, Supervisor
    from freehold.deploy.up import Up
    from freehold.observe.logs import configure_logging

    configure_logging()
    found = find_system(system)
    deployment = read(found, deploy, host=host, port=port)
    if demo and found.data_sets:
        asyncio.run(_load(found, deployment))
    every = Up(found, deployment, name=deploy, named=system)

    def ready(address: str) -> None:
        print_line(f"{found.title or found.name} answers at {address}{found.gateway.prefix}", "bold")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, every.stop)
        await every.run(ready, Stream(every.names).show)

    try:
        asyncio.run(main())
    except Misconfigured:
        sys.exit(Supervisor.WRONG)


async def _load(system: System, deployment: Deployment) -> None:
    from freehold.deploy.data_sets import load
    from freehold.deploy.process import Process

    with progress() as report:
        async with Process(system, deployment) as process:
            await load(process, "demo", report)
