"""`freehold diagram`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from freehold.cli.output import print_line
from freehold.cli.systems import SystemName, find_system
from freehold.model.errors import ConfigurationError


class Kind(StrEnum):
    """What a diagram shows."""

    ER = "er"
    EVENTS = "events"
    CALLS = "calls"
    SAGAS = "sagas"


class Format(StrEnum):
    """What a diagram is written as."""

    MERMAID = "mermaid"
    SVG = "svg"


ENDING = {Format.MERMAID: "mmd", Format.SVG: "svg"}


def diagram(
    system: SystemName,
    *,
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="Which; all of them by default.", show_default=False)
    ] = None,
    service: Annotated[
        str, typer.Option("--service", metavar="NAME", help="Only what concerns this one.", show_default=False)
    ] = "",
    written: Annotated[Format, typer.Option("--format", help="Mermaid's text, or SVG.")] = Format.MERMAID,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where to write a file for each.", show_default=False),
    ] = None,
) -> None:
    """Draw tables, events, calls and sagas.

    Without --out one diagram is printed as it is, several as Markdown. An SVG needs nothing from elsewhere, and
    follows the reader's light or dark. Reads the declarations only.

    \b
    Example:
      freehold diagram booking_rush --kind events
      freehold diagram booking_rush --kind er --service booking --format svg > booking.svg
      freehold diagram booking_rush --format svg --out diagrams
    """
    from freehold.inspect import describe
    from freehold.inspect.diagrams import KINDS, pictures, to_svg

    description = describe(find_system(system))
    if service and service not in description["services"]:
        raise ConfigurationError(
            "--service", f"{system} has no {service!r}", f"It has: {', '.join(description['services'])}"
        )
    kinds = [kind.value] if kind else KINDS
    drawn = [picture for each in kinds for picture in pictures(description, each, service or None)]
    texts = {each.name: each.mermaid if written is Format.MERMAID else to_svg(each.drawing) for each in drawn}
    if out is not None:
        _write({f"{name}.{ENDING[written]}": text for name, text in texts.items()}, out)
    elif len(texts) == 1:
        print(*texts.values(), end="")
    elif written is Format.SVG and texts:
        raise ConfigurationError(
            "--out",
            f"is needed for {len(texts)} diagrams as SVG",
            "Name a folder, or narrow them by --kind and --service",
        )
    else:
        print("\n".join(f"## {each.drawing.title}\n\n```mermaid\n{texts[each.name]}```\n" for each in drawn), end="")


def _write(files: dict[str, str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError("--out", f"{folder} cannot be written ({error.strerror})", "Name another") from None
    print_line(f"{folder}: {len(files)} {'diagram' if len(files) == 1 else 'diagrams'}")
