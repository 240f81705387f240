"""`freehold demo`"""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.systems import DeployName, find_function

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Watch a system under load.")


@app.callback()
def demo() -> None:
    """Watch a system under load, and have its books checked at the end."""


@app.command("flash-sale")
def flash_sale(
    buyers: Annotated[int, typer.Option(min=1, help="How many want seats.")] = 5000,
    seats: Annotated[int, typer.Option(min=1, help="How many there are.")] = 1000,
    deploy: DeployName = "",
) -> None:
    """Thousands of buyers against one zone of Booking Rush, over real HTTP.

    Shows requests per second, what was granted and refused, holds, and latencies; at the end every database is
    compared, and one line says whether a seat, a baht or an event is missing.

    \b
    Example:
      freehold demo flash-sale
      freehold demo flash-sale --buyers 20000 --seats 500
    """
    import asyncio

    failed = asyncio.run(find_function("booking_rush", "flash_sale", "flash_sale")(buyers, seats, deploy))
    raise typer.Exit(1 if failed else 0)
