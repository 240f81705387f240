"""`freehold serve`: one service of a system, as processes of its own."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection

    from freehold.deploy.config import Deployment
    from freehold.deploy.process import Process
    from freehold.model.system import System


def serve(
    system: SystemName,
    service: Annotated[str, typer.Argument(help="One of its services, or `gateway`.", show_default=False)],
    *,
    deploy: DeployName = "",
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.", show_default="that of its address")] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many processes.", min=1, max=64, show_default="as configured, or 1")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="http, relay or consumers; may be given again.", show_default="all of them"),
    ] = None,
    listen_fd: Annotated[int, typer.Option(hidden=True)] = -1,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run one service, or the gateway, in processes of its own.

    A process answers the service's requests, publishes its events, handles those of others and runs its jobs, or does
    only those parts that are named. It always tells at /health/ready what it misses. Any number of processes may run
    one service on a broker; on the local bus it must be the only one. Runs until Ctrl-C or SIGTERM.

    \\b
    Example:
      freehold serve booking_rush booking --deploy prod --port 8103 --workers 4
      freehold serve booking_rush booking --deploy prod --part relay
    """
    from freehold.deploy.config import GATEWAY, read
    from freehold.deploy.process import PARTS
    from freehold.observe.logs import configure_logging

    configure_logging()
    found = find_system(system)
    deployment = read(found, deploy, host=host)
    if service not in (GATEWAY, *(each.name for each in found.services)):
        known = ", ".join([*(each.name for each in found.services), GATEWAY])
        raise ConfigurationError(f"service {service!r}", f"{found.name} has none of this name", f"It has: {known}")
    if unknown := [name for name in part or () if name not in PARTS]:
        raise ConfigurationError("--part", f"{unknown[0]!r} is none", f"There are: {', '.join(PARTS)}")
    listening = _listening(found, deployment, service, port, listen_fd)
    wanted = workers or deployment.service(service).workers
    if supervised or wanted == 1:
        _run(found, deployment, service, listening, parts=part or PARTS, supervised=supervised)
    else:
        parts = [argument for name in part or () for argument in ("--part", name)]
        arguments = ["serve", system, service, *(["--deploy", deploy] if deploy else []), *parts]
        _supervise(arguments, service, wanted, listening)


def _listening(
    system: System, deployment: Deployment, service: str, port: int | None, descriptor: int
) -> socket.socket:
    import socket

    from freehold.deploy.server import listen

    if descriptor >= 0:
        return socket.socket(fileno=descriptor)
    return listen(deployment.host, deployment.port_of(system, service) if port is None else port)


def _run(
    system: System,
    deployment: Deployment,
    service: str,
    listening: socket.socket,
    *,
    parts: Collection[str],
    supervised: bool,
) -> None:
    import uvloop

    from freehold.deploy.run import run_service
    from freehold.testing.clock import SharedClock

    def ready(address: str, _: Process) -> None:
        print_line(f"{service} answers at {address}", "bold")

    uvloop.run(
        run_service(
            system,
            deployment,
            service,
            listening=listening,
            parts=parts,
            clock=SharedClock.named(),
            supervised=supervised,
            on_ready=ready,
        )
    )


def _supervise(arguments: list[str], service: str, workers: int, listening: socket.socket) -> None:
    import asyncio

    from freehold.cli.streams import Stream
    from freehold.deploy.supervisor import Misconfigured, Program, Supervisor

    names = [f"{service}.{number}" for number in range(1, workers + 1)]
    descriptor = listening.fileno()
    own = ["--listen-fd", str(descriptor), "--supervised"]
    programs = [Program(name, [*arguments, *own], os.environ, [descriptor]) for name in names]
    supervisor = Supervisor(programs, Stream(names).show)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, supervisor.stop)
        await supervisor.run()

    with listening:
        try:
            asyncio.run(main())
        except Misconfigured:
            sys.exit(Supervisor.WRONG)
