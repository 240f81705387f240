"""How far a long piece of work is: a bar in a terminal, a line for each finished part into a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Report]:
    """Something to call with what is being done, how much of it is, and how much there is; `quiet` says nothing."""
    if quiet or not sys.stdout.isatty():
        yield _nothing if quiet else _line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

    tasks: dict[str, TaskID] = {}
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), transient=True) as bars:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total)

        yield report


def _nothing(what: str, done: int, total: int) -> None:
    """For scripts that read what is printed."""


def _line(what: str, done: int, total: int) -> None:
    if done >= total:
        print(f"{what}: {total}", flush=True)
