"""`freehold load-test`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.systems import DeployName, SystemName, find_system

if TYPE_CHECKING:
    from freehold.deploy.load_test import Picture, Result
    from freehold.model.load import LoadMark, LoadShape
    from freehold.model.system import System

VERDICTS = {True: ("holds", "green"), False: ("MISSED", "bold red"), None: ("no sense", "dim")}


def load_test(
    system: SystemName,
    shape: Annotated[str, typer.Argument(help="Which one; without it they are listed.", show_default=False)] = "",
    *,
    scale: Annotated[
        float | None,
        typer.Option(min=0.0001, max=1, help="Of the visitors that it specifies.", show_default="what a laptop bears"),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, max=600, help="How long it takes in all.", show_default="the shape's own")
    ] = None,
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """Send visitors over real HTTP, as one of the system's load shapes says.

    At a rate, visitors come whether or not the earlier ones have left, and times count from when each was due.
    Afterwards every event is delivered and every database compared. Each mark is told by itself; when one is missed,
    the exit code is 1. Without --deploy it runs on SQLite files of its own, which go with it. Client and system share
    this machine: compare figures only with those that were taken likewise.

    \b
    Example:
      freehold load-test booking_rush
      freehold load-test booking_rush herd
      freehold load-test booking_rush spike --scale 0.05 --seconds 60
    """
    from freehold.deploy.load_test import find_shape

    found = find_system(system)
    if not shape:
        _list(found, json)
        return
    scaled = find_shape(found, shape).scaled(scale, seconds)
    if not json:
        print_line(f"{shape}: {scaled.title}", "bold")
        for phase in scaled.phases:
            print_line(f"  {phase.name}: {phase}")
        print_line(f"  visitors x {scaled.scale:g}, seconds x {scaled.stretch:.3g} of what is specified")
    result = _run(found, scaled, deploy, quiet=json)
    if json:
        print_json({"shape": shape, "scale": scaled.scale, "stretch": scaled.stretch, **asdict(result)})
    else:
        _tell(result)
    raise typer.Exit(1 if result.missed else 0)


def _list(system: System, json: bool) -> None:
    from freehold.deploy.load_test import shapes_of

    shapes = shapes_of(system).shapes
    if json:
        print_json({name: shape.title for name, shape in shapes.items()})
    else:
        print_table(("shape", "what it is"), [(name, shape.title) for name, shape in shapes.items()])


def _run(system: System, shape: LoadShape, deploy: str, *, quiet: bool) -> Result:
    import uvloop

    from freehold.deploy.config import read
    from freehold.deploy.load_test import load_test as run

    with _screen(quiet=quiet) as show:
        return uvloop.run(run(system, read(system, deploy), shape, on_picture=show, temporary=not deploy))


@contextmanager
def _screen(*, quiet: bool) -> Iterator[Callable[[Picture], None]]:
    """Where the picture goes: a live table in a terminal, a line each second into a pipe."""
    if quiet:
        yield lambda _: None
    elif not sys.stdout.isatty():
        yield _Lines()
    else:
        from rich.live import Live

        with Live(refresh_per_second=8, transient=True) as live:
            yield lambda picture: live.update(_table(picture))


class _Lines:
    """Prints a picture each second."""

    def __init__(self) -> None:
        self._second = 0

    def __call__(self, picture: Picture) -> None:
        if picture.load.seconds >= self._second:
            self._second = int(picture.load.seconds) + 1
            print("  ".join(f"{name} {figure}" for name, figure in _figures(picture).items()), flush=True)


def _figures(picture: Picture) -> dict[str, str]:
    load, recent = picture.load, picture.recent
    answers = {
        f"{step.partition('/')[2]} {status or 'unanswered'}": f"{count:,}"
        for step, seen in load.outcomes.items()
        if step.startswith(f"{picture.phase}/")
        for status, count in seen.items()
    }
    counts = {name.replace("_", " "): f"{number:,}" for name, number in picture.counts.items()}
    return {
        "phase": picture.phase,
        "seconds": f"{load.seconds:.1f}",
        "p50 ms": f"{recent.p50:.1f}",
        "p99 ms": f"{recent.p99:.1f}",
    } | answers | counts  # fmt: skip


def _table(picture: Picture) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.ROUNDED, title="Load test", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    for name, figure in _figures(picture).items():
        table.add_row(name, figure)
    return table


def _tell(result: Result) -> None:
    rows = [
        (
            step,
            measured.count,
            f"{measured.mean:.1f}",
            f"{measured.p50:.1f}",
            f"{measured.p95:.1f}",
            f"{measured.p99:.1f}",
        )
        for step, measured in sorted(result.load.times.items())
        if step in result.load.outcomes or len(result.load.outcomes[step.rpartition(" ")[0]]) > 1
    ]
    print_table(("answers", "how many", "mean ms", "p50 ms", "p95 ms", "p99 ms"), rows)
    for mark in result.marks:
        word, style = VERDICTS[mark.holds]
        print_line(f"{word:8}  {mark.name}: {mark.found}", style)
    print_line(_summary(result.marks), "bold red" if result.missed else "bold green")


def _summary(marks: Any) -> str:
    judged: list[LoadMark] = [mark for mark in marks if mark.holds is not None]
    held = sum(bool(mark.holds) for mark in judged)
    return f"{held} of {len(judged)} marks hold"
