"""The server under a rush of new connections."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import uvicorn
import uvloop

from freehold.deploy.server import ACCEPTS, accepting, listen

DEADLINE = 60
CROWD = 100


async def _rush(sockets_of: Any) -> int:
    """How many requests of those who were there already are answered while a crowd of newcomers gets in."""
    answered = {b"/regular": 0, b"/new": 0}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        time.sleep(0.002)  # noqa: ASYNC251 - what SQLite does between two turns of the loop
        answered[scope["raw_path"]] += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=sockets_of(listening)))
    over = asyncio.Event()

    async def ask(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, path: bytes) -> None:
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: test\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")

    async def regular() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not over.is_set():
            await ask(writer, reader, b"/regular")
        writer.close()

    async def newcomer() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await ask(writer, reader, b"/new")
        writer.close()

    async with asyncio.timeout(DEADLINE):
        regulars = [asyncio.create_task(regular()) for _ in range(8)]
        while answered[b"/regular"] < 50:
            await asyncio.sleep(0)
        before = answered[b"/regular"]
        await asyncio.gather(*(newcomer() for _ in range(CROWD)))
        meanwhile = answered[b"/regular"] - before
        over.set()
        await asyncio.gather(*regulars)
        server.should_exit = True
        await serving
    assert answered[b"/new"] == CROWD
    return meanwhile


def test_newcomers_are_let_in_many_at_a_turn_of_the_loop() -> None:
    assert uvloop.run(_rush(lambda listening: [listening])) > CROWD, "one socket would do, and the others can go"
    assert uvloop.run(_rush(accepting)) < CROWD


def test_the_port_is_free_again_after_the_server() -> None:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    sockets = accepting(listening)
    assert len(sockets) == ACCEPTS
    for each in sockets:
        each.close()
    listen("127.0.0.1", port).close()
