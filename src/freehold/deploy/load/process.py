"""Load from a process of its own, so that it does not share the interpreter with what it measures."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Any

from freehold.deploy.load.client import Report
from freehold.model.errors import ConfigurationError
from freehold.model.load import LoadPhase, LoadReport, LoadTimes

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_CONNECTIONS = 2_000
LONGEST = 600.0
LONGEST_LINE = 1 << 20


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
    order = {"visitors": visitors, "arguments": dict(arguments), "host": host, "port": port,
             "connections": connections, "seconds": seconds}  # fmt: skip
    async with aclosing(_client("visitors", order)) as lines:
        async for line in lines:
            report = _read(line)
            if report.last:
                return report
            if on_report is not None:
                on_report(report)
    raise AssertionError("the client ends with its last report, or with an error")


async def follow(
    phases: Sequence[LoadPhase],
    arguments: Mapping[str, Any],
    *,
    port: int,
    connections: int = 512,
    on_load: Callable[[str, LoadReport, LoadTimes], None] | None = None,
) -> LoadReport:
    """Send the visitors of a load shape to a server on this machine, and wait until they are through.

    Args:
        phases: one after another.
        arguments: `sale` and `tokens`, for the scripts.
        port: where to.
        connections: open at a time, 2,000 at most; who needs one more waits, and that counts.
        on_load: told every quarter of a second which phase it is, what there was by now, and how long the latest
            answers took.

    Raises:
        ConfigurationError: too many connections, too long, or the client failed.
    """
    _check(LOOPBACK[0], connections, sum(phase.seconds for phase in phases) or 1)
    order = {"phases": [asdict(phase) for phase in phases], "arguments": dict(arguments), "host": LOOPBACK[0],
             "port": port, "connections": connections}  # fmt: skip
    async with aclosing(_client("phases", order)) as lines:
        async for line in lines:
            load, recent = _read_load(line["load"]), LoadTimes(**line["recent"])
            if line["last"]:
                return load
            if on_load is not None:
                on_load(line["phase"], load, recent)
    raise AssertionError("the client ends with its last report, or with an error")


async def _client(what: str, order: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """What a client's process tells, line by line. Raises ConfigurationError when it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "freehold.deploy.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    try:
        process.stdin.write(json.dumps({"what": what, "path": sys.path, **order}, default=str).encode())
        process.stdin.close()
        async for line in process.stdout:
            yield json.loads(line)
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


def _read_load(document: dict[str, Any]) -> LoadReport:
    outcomes = {step: {int(status): n for status, n in seen.items()} for step, seen in document["outcomes"].items()}
    times = {step: LoadTimes(**measured) for step, measured in document["times"].items()}
    return LoadReport(document["seconds"], outcomes, times, document["notes"])
