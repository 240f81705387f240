"""`freehold load`"""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.progress import progress
from freehold.cli.systems import DeployName, SystemName, find_system


def load(
    system: SystemName,
    data_set: Annotated[str, typer.Argument(metavar="SET", help="demo, load, or another that it has.")] = "demo",
    deploy: DeployName = "",
) -> None:
    """Load a set of data, such as the demo.

    What the data causes in other services is delivered before this returns. Loading a set again changes nothing. The
    system must not be running on the same data folder meanwhile.

    \b
    Example:
      freehold load booking_rush demo
      freehold load booking_rush load --deploy staging
    """
    import asyncio

    asyncio.run(_load(system, data_set, deploy))
    print_line(f"{system}: {data_set} is loaded")


async def _load(name: str, data_set: str, deploy: str) -> None:
    from freehold.deploy.config import read
    from freehold.deploy.data_sets import load as load_into
    from freehold.deploy.process import Process

    system = find_system(name)
    async with Process(system, read(system, deploy)) as process:
        with progress() as report:
            await load_into(process, data_set, report)
