"""`freehold demo`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from freehold.cli.output import AsJson, print_json, print_line
from freehold.cli.systems import DeployName, find_module, find_system

if TYPE_CHECKING:
    from freehold.deploy.flash_sale import Picture, Scenario

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Watch a system under load.")


@app.callback()
def demo() -> None:
    """Watch a system under load, and have its books checked at the end."""


@app.command("flash-sale")
def flash_sale(
    *,
    buyers: Annotated[int, typer.Option(min=1, help="How many want seats.")] = 5000,
    seats: Annotated[int, typer.Option(min=1, help="How many there are.")] = 1000,
    connections: Annotated[int, typer.Option(min=1, max=2000, help="How many buyers are at it at once.")] = 256,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="After so many no further buyer begins.")] = 60.0,
    pay: Annotated[float, typer.Option(min=0, max=1, help="The share of those granted who pay.")] = 0.1,
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """Thousands of buyers against one zone of Booking Rush, over real HTTP.

    Shows requests per second, what was granted and refused, holds, and latencies. At the end every event is delivered
    and every database compared, and one line says whether a seat, a baht or an event is missing; if so, the exit code
    is 1. Without --deploy it runs on SQLite files of its own, which go with it.

    \b
    Example:
      freehold demo flash-sale
      freehold demo flash-sale --buyers 20000 --seats 5000 --pay 0.5
    """
    import uvloop

    from freehold.deploy.config import read
    from freehold.deploy.flash_sale import SaleOptions
    from freehold.deploy.flash_sale import flash_sale as sell

    system = find_system("booking_rush")
    scenario = cast("Scenario", find_module("booking_rush", "flash_sale"))
    options = SaleOptions(buyers=buyers, seats=seats, pay=pay, connections=connections, seconds=seconds)
    with _screen(quiet=json) as show:
        outcome = uvloop.run(
            sell(system, read(system, deploy), scenario, options, on_picture=show, temporary=not deploy)
        )
    if json:
        print_json({"report": outcome.report.document(), **outcome.counts, "missing": outcome.missing,
                    "summary": outcome.summary})  # fmt: skip
    else:
        print_line(outcome.line, "bold red" if outcome.missing else "bold green")
    raise typer.Exit(1 if outcome.missing else 0)


@contextmanager
def _screen(*, quiet: bool) -> Iterator[Callable[[Picture], None]]:
    """Where the picture goes: a live table in a terminal, a line each into a pipe."""
    if quiet:
        yield lambda _: None
    elif not sys.stdout.isatty():
        yield _line
    else:
        from rich.live import Live

        with Live(refresh_per_second=8) as live:
            yield lambda picture: live.update(_table(picture))


def _figures(picture: Picture) -> dict[str, str]:
    report = picture.report
    reserved, paid = report.answers.get("reserve", {}), report.answers.get("pay", {})
    granted = reserved.get(201, 0)
    return {
        "seconds": f"{report.seconds:.1f}",
        "requests/s": f"{report.rate:,.0f}",
        "granted": f"{granted:,}",
        "refused": f"{sum(reserved.values()) - granted:,}",
        "paid": f"{paid.get(201, 0):,}",
        **{name.replace("_", " "): f"{number:,}" for name, number in picture.counts.items()},
        "p50 ms": f"{report.p50:.1f}",
        "p99 ms": f"{report.p99:.1f}",
    }


def _line(picture: Picture) -> None:
    print("  ".join(f"{name} {figure}" for name, figure in _figures(picture).items()), flush=True)


def _table(picture: Picture) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.ROUNDED, title="Flash sale", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    for name, figure in _figures(picture).items():
        style = "green" if name == "oversold" and figure == "0" else "red" if name == "oversold" else ""
        table.add_row(name, figure, style=style)
    return table
