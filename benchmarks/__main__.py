"""`python -m benchmarks [NAME …] [--quick] [--json]`: every benchmark, or those named, in one table."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure import Row, conditions
from benchmarks.place import Place

BENCHMARKS = ("flash_sale", "relay", "bus", "route", "latency")


async def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    options = _options(arguments)
    place = Place()
    under = await conditions(place.admin_url)
    rows: list[Row] = []
    for name in options.names:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += await importlib.import_module(f"benchmarks.{name}").run(place, quick=options.quick)
    if options.json:
        print(json.dumps([row.document(under) for row in rows], indent=2))
    else:
        _print_table(rows, under)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; all when none")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    given = [*(arguments or ()), *sys.argv[1:]]
    options = parser.parse_args(given)
    options.names = options.names or BENCHMARKS
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    return options


def _print_table(rows: Sequence[Row], under: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("row", "ours", "baseline", "unit", "ratio", "wanted", "against", box=box.SIMPLE_HEAD)
    for row in rows:
        mark = "≥" if row.ratio >= row.target else "<"
        table.add_row(
            row.name, f"{row.ours:,.1f}", f"{row.baseline:,.1f}", row.unit, f"{row.ratio:.2f}",
            f"{mark} {row.target:g}" if row.target else "", row.against,
        )  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print(", ".join(f"{name}: {value}" for name, value in under.items()))


if __name__ == "__main__":
    asyncio.run(main())
