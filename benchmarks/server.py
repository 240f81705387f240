"""A server process for the load: an ASGI app on a port of its own, one worker, until its standard input ends."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from benchmarks.child import ROOT


@asynccontextmanager
async def running(app: str, **arguments: Any) -> AsyncIterator[int]:
    """The port of `module:function(**arguments)`, an async context manager of an ASGI app, in a fresh process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.server", app,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(arguments).encode() + b"\n")
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"{app} ended with exit code {await process.wait()}")
    try:
        yield int(line)
    finally:
        process.stdin.close()
        await process.wait()


async def _main() -> None:
    module, _, name = sys.argv[1].partition(":")
    arguments = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    async with getattr(importlib.import_module(module), name)(**arguments) as app:
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, loop="uvloop", http="httptools", log_level="error", access_log=False, lifespan="off"
        )
        gc.collect()
        gc.freeze()
        await uvicorn.Server(config).serve(sockets=[listening])


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
