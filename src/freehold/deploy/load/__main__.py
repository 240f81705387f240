"""The client's process: an order on standard input, reports as lines of JSON on standard output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Generator
from dataclasses import asdict
from importlib import import_module
from typing import Any

from freehold.deploy.load.arrivals import Arrivals, Write
from freehold.deploy.load.client import Load as Visitors
from freehold.deploy.load.connections import Connections
from freehold.deploy.load.scripted import Scripted
from freehold.model.load import LoadPhase, LoadReport, LoadStage, LoadTimes

Order = dict[str, Any]


def main() -> None:
    """Carry out the order."""
    order = json.load(sys.stdin)
    sys.path[:] = order["path"]
    _run(_shaped(order) if order["what"] == "phases" else _visitors(order))


async def _visitors(order: Order) -> None:
    found = _find(order["visitors"])(**order["arguments"])
    visitors = [Scripted(each) if isinstance(each, Generator) else each for each in found]
    load = Visitors(
        order["host"], order["port"], iter(visitors), order["connections"], order["seconds"],
        lambda report: _tell(report.document()),
    )  # fmt: skip
    await load.run()


async def _shaped(order: Order) -> None:
    phases = [
        LoadPhase(**{**each, "stages": [LoadStage(**stage) for stage in each["stages"]]}) for each in order["phases"]
    ]
    connections = Connections(order["host"], order["port"], order["connections"])
    load = await Arrivals(connections, _show).run([(phase, _writer(phase.script, order)) for phase in phases])
    _show("", load, LoadTimes(), last=True)


def _writer(script: str, order: Order) -> Write:
    write, sale, tokens = _find(script), order["arguments"]["sale"], order["arguments"]["tokens"] or [""]
    return lambda number: write(sale, tokens[number % len(tokens)], number)


def _show(phase: str, load: LoadReport, recent: LoadTimes, *, last: bool = False) -> None:
    _tell({"phase": phase, "load": asdict(load), "recent": asdict(recent), "last": last})


def _find(address: str) -> Callable[..., Any]:
    module, _, name = address.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def _tell(document: Order) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
