"""Load from a process of its own, so that it does not share the interpreter with what it measures."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from freehold.deploy.load.client import Report
from freehold.model.errors import ConfigurationError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_CONNECTIONS = 2_000
LONGEST = 600.0


async def drive(
    visitors: str,
    arguments: Mapping[str, Any],
    *,
    port: int,
    host: str = "127.0.0.1",
    connections: int = 256,
    seconds: float = 60.0,
    on_report: Callable[[Report], None] | None = None,
) -> Report:
    """Send visitors to a server on this machine, and wait until they are through; the report over all.

    Args:
        visitors: `module:function`; called with `arguments` in the client's process, it returns the visitors: each a
            `Visitor`, or a script as `Scripted` follows.
        arguments: what JSON can say.
        host, port: where to; only this machine.
        connections: kept open at a time, 2,000 at most.
        seconds: after so many no further visitor begins; 600 at most.
        on_report: told every quarter of a second how it stands.

    Raises:
        ConfigurationError: another machine, too many connections, too long, or nobody listens there.
    """
    _check(host, connections, seconds)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "freehold.deploy.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    try:
        order = {"visitors": visitors, "arguments": dict(arguments), "host": host, "port": port,
                 "connections": connections, "seconds": seconds, "path": sys.path}  # fmt: skip
        process.stdin.write(json.dumps(order, default=str).encode())
        process.stdin.close()
        async for line in process.stdout:
            report = _read(json.loads(line))
            if report.last:
                return report
            if on_report is not None:
                on_report(report)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
        await process.wait()
    raise ConfigurationError("load", f"the client ended with exit code {process.returncode}", "See what it wrote above")


def _check(host: str, connections: int, seconds: float) -> None:
    if host not in LOOPBACK:
        raise ConfigurationError("load", f"{host} is not this machine", f"Choose one of {', '.join(LOOPBACK)}")
    if not 1 <= connections <= MOST_CONNECTIONS:
        raise ConfigurationError("connections", f"is {connections}", f"Choose 1 to {MOST_CONNECTIONS}")
    if not 0 < seconds <= LONGEST:
        raise ConfigurationError("seconds", f"is {seconds:g}", f"Choose up to {LONGEST:g}")


def _read(document: dict[str, Any]) -> Report:
    given = document.pop("answers")
    answers = {step: {int(status): n for status, n in counted.items()} for step, counted in given.items()}
    return Report(**document, answers=answers)
