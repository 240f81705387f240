"""The client's process: an order on standard input, reports as lines of JSON on standard output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Generator
from importlib import import_module

from freehold.deploy.load.client import Load, Report
from freehold.deploy.load.scripted import Scripted


def main() -> None:
    """Carry out the order."""
    order = json.load(sys.stdin)
    sys.path[:] = order["path"]
    module, _, name = order["visitors"].partition(":")
    found = getattr(import_module(module), name)(**order["arguments"])
    visitors = [Scripted(each) if isinstance(each, Generator) else each for each in found]
    load = Load(order["host"], order["port"], iter(visitors), order["connections"], order["seconds"], _tell)
    _run(load)


def _tell(report: Report) -> None:
    sys.stdout.write(json.dumps(report.document()) + "\n")
    sys.stdout.flush()


def _run(load: Load) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(load.run())
    else:
        uvloop.run(load.run())


if __name__ == "__main__":
    main()
