"""Serves a process over HTTP until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from freehold.model.errors import ConfigurationError

ACCEPTS = 16
"""New connections that are let in during one turn of the loop."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError when the port is taken or may not be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise ConfigurationError(
            "port",
            f"{host}:{port} cannot be listened on ({error.strerror})",
            "Stop what listens there, or choose another with --port",
        ) from None
    opened.listen(2048)
    return opened


def accepting(listening: socket.socket) -> list[socket.socket]:
    """The socket and duplicates of it, for the server to listen on all of them.

    uvloop accepts one connection for each listening socket in a turn of the loop. With one socket, thousands who come
    at once would be let in one by one, between turns that work for those who came before.
    """
    return [listening, *(listening.dup() for _ in range(ACCEPTS - 1))]


async def serve(
    app: Any,
    listening: socket.socket,
    *,
    on_ready: Callable[[], None],
    on_stop: Callable[[], None],
    drain: float = 30.0,
) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish those at work within `drain` seconds.

    Args:
        app: the ASGI application.
        listening: from `listen`.
        on_ready: called once requests are answered.
        on_stop: called as soon as the signal comes, so that readiness fails and streams end.
        drain: seconds.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=int(drain),
        server_header=False,
    )
    server = _Server(config, on_stop)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, server.ask_to_stop)
    # What was made until now stays as long as the process: the garbage collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 10)  # often again: from here on most of what is made goes soon
    serving = asyncio.create_task(server.serve(sockets=accepting(listening)))
    started = asyncio.create_task(server.ready.wait())
    await asyncio.wait([serving, started], return_when=asyncio.FIRST_COMPLETED)
    if server.ready.is_set():
        on_ready()
    started.cancel()
    await serving


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    def ask_to_stop(self) -> None:
        """Finish what is at work and end; a second time, end at once."""
        self._on_stop()
        self.force_exit = self.should_exit
        self.should_exit = True

    def capture_signals(self) -> Any:
        """Signals are handled on the loop, so that the databases are closed in order."""
        from contextlib import nullcontext

        return nullcontext()
