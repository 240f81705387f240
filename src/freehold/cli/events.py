"""`freehold events`: the schemas that a system has published."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.systems import SystemName, find_folder, find_system

if TYPE_CHECKING:
    from freehold.inspect.event_lock import Change

app = typer.Typer(no_args_is_help=True, help="The published schemas of events and commands: lock, diff.")


@app.command("lock")
def lock(system: SystemName) -> None:
    """Write what is published into events.lock, beside the system.

    Takes up new events, new versions and compatible changes of those that are there. When a version that is there has
    changed so that somebody could not read it, nothing is written and it ends with 1.

    \\b
    Example:
      freehold events lock booking_rush
    """
    from freehold.inspect.event_lock import FILE, EventLock

    named, folder = find_system(system), find_folder(system)
    before = EventLock.read(folder) or EventLock({})
    changes = before.changes(named)
    refused = [change for change in changes if change.verdict == "incompatible"]
    for change in refused:
        print_line(str(change), "bold red")
    if refused:
        raise typer.Exit(1)
    after = before.with_declared(named)
    after.write(folder)
    taken = sum(change.verdict in ("new", "compatible") for change in changes)
    print_line(f"{os.path.relpath(folder / FILE)}: {len(after.entries)} messages, {taken} changes taken up")


@app.command("diff")
def diff(system: SystemName, json: AsJson = False) -> None:
    """Show how what is declared differs from events.lock, with a verdict for each field.

    Ends with 1 when a change is incompatible.

    \\b
    Example:
      freehold events diff booking_rush
    """
    from freehold.inspect.event_lock import EventLock

    found = (EventLock.read(find_folder(system)) or EventLock({})).changes(find_system(system))
    if json:
        print_json([asdict(change) for change in found])
    else:
        print_table(("verdict", "message", "version", "what", "change"), map(_line, found))
    raise typer.Exit(1 if any(change.verdict == "incompatible" for change in found) else 0)


def _line(change: Change) -> tuple[object, ...]:
    told = f"{change.problem}. {change.remedy}" if change.remedy else change.problem
    return change.verdict, change.message, change.version, change.what, told
