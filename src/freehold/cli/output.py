"""How commands print: tables in a terminal, tab-separated lines into a pipe, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(document: Any) -> None:
    """Indented JSON; what JSON does not know is printed as text."""
    print(json.dumps(document, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with these headings."""
    lines = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            print("\t".join(" ".join(cell.split()) for cell in line))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD)
    for line in lines:
        table.add_row(*map(Text, line))
    Console().print(table)


def print_line(text: str, style: str = "") -> None:
    """A line; in a terminal in this style."""
    if not sys.stdout.isatty():
        print(text, flush=True)  # whoever reads the pipe may be waiting for it
        return
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True).print(Text(text, style))
