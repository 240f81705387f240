"""`freehold dead-letters`"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.service import open_service
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.runtime.dead_letters import DeadLetter, DeadLetters, Sweep

PAGE = 500
T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, replay or discard failed events.")

ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="Whose dead letters.", show_default=False)]
Ids = Annotated[list[UUID] | None, typer.Argument(metavar="ID", help="Which, as list prints them.")]
Everything = Annotated[bool, typer.Option("--all", help="All that are dead, or all of --type.")]
OfType = Annotated[str | None, typer.Option("--type", metavar="EVENT", help="Only of this type, like order.placed.")]
By = Annotated[str, typer.Option(envvar="USER", help="Who asks, for the audit trail.")]


@app.command("list")
def list_(
    system: SystemName, service: ServiceName, event_type: OfType = None, deploy: DeployName = "", json: AsJson = False
) -> None:
    """List what is dead, oldest first.

    \b
    Example:
      freehold dead-letters list booking_rush booking
      freehold dead-letters list booking_rush booking --type payment.completed --json
    """
    letters = _run(_list(system, service, deploy, event_type))
    if json:
        print_json([asdict(letter) for letter in letters])
        return
    columns = ("id", "direction", "consumer_name", "event_type", "partition_key", "died_at", "retry_count", "error")
    print_table(columns, [[getattr(letter, column) for column in columns] for letter in letters])


@app.command()
def show(
    system: SystemName,
    service: ServiceName,
    letter: Annotated[UUID, typer.Argument(metavar="ID", help="Which, as list prints it.", show_default=False)],
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """Show one with its payload and its whole error.

    \b
    Example:
      freehold dead-letters show booking_rush booking 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77
    """
    found = asdict(_run(_show(system, service, deploy, letter)))
    if json:
        print_json(found)
        return
    print_table(("field", "value"), found.items())


@app.command()
def replay(
    system: SystemName,
    service: ServiceName,
    letters: Ids = None,
    *,
    everything: Everything = False,
    event_type: OfType = None,
    by: By = "operator",
    deploy: DeployName = "",
) -> None:
    """Try them again, as if they had failed for the first time.

    Says of each how many later events of its key were handled before it, since it now comes after them.

    \b
    Example:
      freehold dead-letters replay booking_rush booking 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77
      freehold dead-letters replay booking_rush booking --all --type payment.completed
    """
    chosen = _chosen(letters, everything, event_type)
    _run(_replay(system, service, deploy, letters=chosen, event_type=event_type, by=by))


@app.command()
def discard(
    system: SystemName,
    service: ServiceName,
    letters: Ids = None,
    *,
    everything: Everything = False,
    event_type: OfType = None,
    by: By = "operator",
    deploy: DeployName = "",
) -> None:
    """Give them up for good. They stay in the table, marked, with who did it.

    \b
    Example:
      freehold dead-letters discard booking_rush booking 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77
    """
    chosen = _chosen(letters, everything, event_type)
    _run(_discard(system, service, deploy, letters=chosen, event_type=event_type, by=by))


def _run(work: Coroutine[object, object, T]) -> T:
    import asyncio

    return asyncio.run(work)


def _chosen(letters: list[UUID] | None, everything: bool, event_type: str | None) -> list[UUID] | None:
    """The ids, or None for all of them."""
    if bool(letters) == everything:
        raise ConfigurationError("dead-letters", "which ones is not clear", "Give either ids or --all")
    if letters and event_type:
        raise ConfigurationError("--type", "goes with --all", "Leave it out, or the ids")
    return letters or None


@asynccontextmanager
async def _opened(system: str, service: str, deploy: str) -> AsyncIterator[DeadLetters]:
    from freehold.runtime.dead_letters import DeadLetters

    async with open_service(find_system(system), service, deploy) as host:
        yield DeadLetters(host)


async def _every(dead: DeadLetters, event_type: str | None) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    while page := await dead.list(event_type=event_type, after=found[-1].id if found else None, limit=PAGE):
        found.extend(page)
    return found


async def _list(system: str, service: str, deploy: str, event_type: str | None) -> Sequence[DeadLetter]:
    async with _opened(system, service, deploy) as dead:
        return await _every(dead, event_type)


async def _show(system: str, service: str, deploy: str, letter: UUID) -> DeadLetter:
    async with _opened(system, service, deploy) as dead:
        return await dead.get(letter)


async def _replay(
    system: str, service: str, deploy: str, *, letters: list[UUID] | None, event_type: str | None, by: str
) -> None:
    async with _opened(system, service, deploy) as dead:
        if letters is None:
            _tell(await dead.replay_all(by=by, event_type=event_type), "replayed")
            return
        for letter in letters:
            replayed = await dead.replay(letter, by=by)
            after = f", after {replayed.overtaken} later events of its key" if replayed.overtaken else ""
            print_line(f"{letter} replayed{after}")


def _tell(sweep: Sweep, what: str) -> None:
    skipped = f", {sweep.skipped} skipped: somebody else resolved them meanwhile" if sweep.skipped else ""
    print_line(f"{sweep.resolved} {what}{skipped}")


async def _discard(
    system: str, service: str, deploy: str, *, letters: list[UUID] | None, event_type: str | None, by: str
) -> None:
    async with _opened(system, service, deploy) as dead:
        if letters is None:
            _tell(await dead.discard_all(by=by, event_type=event_type), "discarded")
            return
        for letter in letters:
            await dead.discard(letter, by=by)
            print_line(f"{letter} discarded")
