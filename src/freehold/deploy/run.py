"""Serves a process until it is told to stop: the whole system, one of its services, or the gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from freehold.deploy.config import Deployment, base_url
from freehold.deploy.data_sets import Progress, load
from freehold.deploy.process import PARTS, Process
from freehold.deploy.server import listen, serve
from freehold.model.ports import Clock
from freehold.model.system import System

Ready = Callable[[str, Process], None]


async def run(system: System, deployment: Deployment, *, demo: bool, progress: Progress, on_ready: Ready) -> None:
    """Serve the system's gateway until SIGINT or SIGTERM, then finish what is at work.

    Args:
        system: what to run.
        deployment: where it lives and where it listens.
        demo: load the demo data first, if the system has any; what is loaded already is left alone.
        progress: told how far the loading is.
        on_ready: called with the base URL once requests are answered.

    Raises:
        ConfigurationError: the port is taken, the data folder is in use, a database cannot be had.
    """
    listening = listen(deployment.host, deployment.port)
    try:
        port = listening.getsockname()[1]  # presigned URLs name it, and it may have been 0: any
        async with Process(system, deployment.model_copy(update={"port": port})) as process:
            if demo and system.data_sets:
                await load(process, "demo", progress)
            await _serve(process, listening, on_ready)
    finally:
        listening.close()


async def run_service(
    system: System,
    deployment: Deployment,
    service: str,
    *,
    listening: socket.socket,
    parts: Collection[str] = PARTS,
    clock: Clock | None = None,
    supervised: bool = False,
    on_ready: Ready,
) -> None:
    """Serve one service, or the gateway, until SIGINT or SIGTERM, then finish what is at work.

    Args:
        system: to which it belongs.
        deployment: where it lives, and where the others are.
        service: its name, or `gateway`.
        listening: where it answers; closed in the end.
        parts: what of it works here; see `Process`.
        clock: where the time comes from.
        supervised: stop, too, when standard input ends: whoever started this process is gone.
        on_ready: called with the base URL once requests are answered.

    Raises:
        ConfigurationError: see `Process`; a database cannot be had.
    """
    with listening:
        async with Process(system, deployment, only=service, parts=parts, clock=clock) as process:
            if supervised:
                async with _stopping_with_parent():
                    await _serve(process, listening, on_ready)
            else:
                await _serve(process, listening, on_ready)


async def _serve(process: Process, listening: socket.socket, on_ready: Ready) -> None:
    host, port = listening.getsockname()[:2]
    address = base_url(host, port)
    await serve(process.app, listening, on_ready=lambda: on_ready(address, process), on_stop=process.draining.begin)


@asynccontextmanager
async def _stopping_with_parent() -> AsyncIterator[None]:
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(descriptor, 1024):
            loop.remove_reader(descriptor)
            signal.raise_signal(signal.SIGTERM)

    loop.add_reader(descriptor, look)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
