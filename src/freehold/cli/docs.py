"""`freehold docs`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.progress import progress
from freehold.cli.systems import SystemName, find_system


def docs(
    system: SystemName,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where to write it; an earlier site there is replaced."),
    ] = Path("site"),
) -> None:
    """Write a site that tells everything about a system.

    Services, events and commands, tables, sagas, diagrams, the OpenAPI of each service and of the gateway, AsyncAPI,
    and what `freehold check` finds. It is searched and read without a server: open its index.html. The same
    declarations give the same files. Reads the declarations only.

    \b
    Example:
      freehold docs booking_rush --out site
    """
    from freehold.inspect.site import build_site, write_site

    found = find_system(system)
    with progress() as report:
        files = build_site(found, report)
    write_site(files, out)
    print_line(f"{out / 'index.html'}: {len(files)} files")
