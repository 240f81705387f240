"""All commands. What a command needs it imports when it runs, so that `--help` answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli import (
    check,
    dead_letters,
    demo,
    describe,
    diagram,
    docs,
    events,
    export,
    flags,
    load,
    load_test,
    migrate,
    reconcile,
    run,
    sagas,
    serve,
    up,
    views,
)

app = typer.Typer(
    name="freehold",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its help takes a quarter of a second to import
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"freehold {metadata.version('freehold')}")
        raise typer.Exit


@app.callback()
def freehold(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Systems in which every service owns its data outright.

    SYSTEM is one of three things: the name of a folder here with a system.py (NAME or systems/NAME), a name under
    [systems] in freehold.toml, or package.module:attribute.

    \b
    Example:
      freehold run booking_rush
      freehold check booking_rush
    """


for command in (
    run.run,
    serve.serve,
    up.up,
    check.check,
    describe.describe,
    diagram.diagram,
    docs.docs,
    migrate.migrate,
    migrate.revision,
    migrate.drift,
    load.load,
    load_test.load_test,
):
    app.command()(command)
app.add_typer(events.app, name="events")
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(views.views)
app.command()(sagas.sagas)
app.command()(flags.flags)
app.command()(reconcile.reconcile)
app.add_typer(demo.app, name="demo")
app.add_typer(export.app, name="export")
