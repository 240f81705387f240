"""A process for each service of a system, and one for the gateway, on one machine."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import httpx

from freehold.deploy.config import GATEWAY, PREFIX, SEPARATOR, Deployment, base_url
from freehold.deploy.databases import SERVER, open_databases
from freehold.deploy.secrets import VARIABLE as SECRET
from freehold.deploy.server import listen
from freehold.deploy.supervisor import Line, Program, Supervisor
from freehold.model.errors import ConfigurationError
from freehold.model.system import System

LOOK = 0.2


class Up:
    """Every service of a system as its own processes, started and stopped together.

    The services' databases are made here, so that only this process needs an administrator's address: each service is
    given the address of its own database and no other's. Ports are opened here, too: while a service starts anew, those
    who ask it wait.

    Args:
        system: what to run.
        deployment: where it lives; its bus must be a broker.
        name: the deployment's, as the command was told.
        named: the system's, as the command was told.

    Raises:
        ConfigurationError: the local bus; a database cannot be had; a port is taken.
    """

    def __init__(self, system: System, deployment: Deployment, *, name: str, named: str) -> None:
        self._system = system
        self._deployment = deployment
        self._name = name
        self._named = named
        self._supervisor: Supervisor | None = None
        self.address = ""

    @property
    def names(self) -> list[str]:
        """Of the processes, as their lines are shown."""
        return [f"{service}.{n}" for service in self._services() for n in range(1, self._workers(service) + 1)]

    async def run(self, on_ready: Callable[[str], None], on_line: Line) -> None:
        """Until `stop`; tells what the processes write, and the gateway's address once every service is ready.

        Raises Misconfigured.
        """
        if self._deployment.bus.startswith("local:"):
            raise ConfigurationError(
                "bus",
                "local:// connects the services of one process",
                "Name a broker (kafka://… or amqp://…), or start all services together with `freehold run`",
            )
        databases = await open_databases(self._system, self._deployment)
        with ExitStack() as stack:
            sockets = {name: stack.enter_context(self._listen(name)) for name in self._services()}
            self.address = self._own_address(sockets[GATEWAY])
            supervisor = self._supervisor = Supervisor(self._programs(sockets, databases), on_line)
            telling = asyncio.create_task(self._tell(on_ready))
            try:
                await supervisor.run()
            finally:
                telling.cancel()

    def stop(self) -> None:
        """End all processes: after what is at work, and at once when asked again."""
        if self._supervisor is not None:
            self._supervisor.stop()

    def _services(self) -> list[str]:
        """The gateway first: it stops before those whom it asks."""
        return [GATEWAY, *(service.name for service in self._system.services)]

    def _workers(self, service: str) -> int:
        return self._deployment.service(service).workers

    def _listen(self, service: str) -> socket.socket:
        port = self._deployment.port_of(self._system, service) if self._deployment.port else 0
        return listen(self._deployment.host, port)

    def _own_address(self, listening: socket.socket) -> str:
        host, port = listening.getsockname()[:2]
        return base_url(host, port)

    def _programs(self, sockets: Mapping[str, socket.socket], databases: Mapping[str, str]) -> list[Program]:
        addresses = {
            _variable(name, "ADDRESS"): self._deployment.service(name).address or self._own_address(listening)
            for name, listening in sockets.items()
        }
        kept = {key: value for key, value in os.environ.items() if not _is_secret_of_others(key)} | addresses
        programs = []
        for name, listening in sockets.items():
            own = {_variable(name, "DATABASE"): databases[name]} if name in databases else {}
            deploy = ["--deploy", self._name] if self._name else []
            descriptor = listening.fileno()
            arguments = ["serve", self._named, name, *deploy, "--listen-fd", str(descriptor), "--supervised"]
            programs += [
                Program(f"{name}.{number}", arguments, {**kept, **own}, [descriptor])
                for number in range(1, self._workers(name) + 1)
            ]
        return programs

    async def _tell(self, on_ready: Callable[[str], None]) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            while not await _is_ready(client, self.address):  # noqa: ASYNC110 - it is in other processes
                await asyncio.sleep(LOOK)
        on_ready(self.address)


async def _is_ready(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"{address}/health/ready")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _variable(service: str, key: str) -> str:
    return f"{PREFIX}SERVICES{SEPARATOR}{service.upper()}{SEPARATOR}{key}"


def _is_secret_of_others(variable: str) -> bool:
    """What no service needs: the administrator's address, the secret behind all passwords, others' databases."""
    return variable in (SERVER, SECRET) or (
        variable.startswith(f"{PREFIX}SERVICES{SEPARATOR}") and variable.endswith(f"{SEPARATOR}DATABASE")
    )
