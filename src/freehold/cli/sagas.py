"""`freehold sagas`"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.service import open_services
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError
from freehold.model.problem import Problem

if TYPE_CHECKING:
    from freehold.runtime.host import Host
    from freehold.runtime.saga_store import SagaView

PAGE = 500
UNFINISHED = ("running", "compensating", "needs_attention")
COLUMNS = ("id", "service", "saga", "key", "status", "step_name", "updated_at", "error")


class Action(StrEnum):
    """What is done with one instance."""

    SHOW = "show"
    RESUME = "resume"


class Status(StrEnum):
    """Where instances stand."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    NEEDS_ATTENTION = "needs_attention"
    COMPLETED = "completed"
    COMPENSATED = "compensated"


def sagas(
    system: SystemName,
    action: Annotated[Action | None, typer.Argument(metavar="ACTION", help="show or resume; or else list.")] = None,
    saga: Annotated[UUID | None, typer.Argument(metavar="ID", help="Which, as the list prints it.")] = None,
    *,
    status: Annotated[Status | None, typer.Option(help="Only these; without it, all that have not ended.")] = None,
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """List sagas, show one with its history, or resume one that needs attention.

    The list has what has not ended, newest first. A saga needs attention when taking back a step keeps failing: see
    with show what fails, remove the cause, and resume it: the undo is tried again. It works beside the running system,
    which carries on; without one, the saga goes on at the next start.

    \b
    Example:
      freehold sagas booking_rush
      freehold sagas booking_rush --status needs_attention --json
      freehold sagas booking_rush show 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77
      freehold sagas booking_rush resume 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77
    """
    import asyncio

    if action is None:
        found = asyncio.run(_list(system, deploy, [status] if status else [Status(each) for each in UNFINISHED]))
        if json:
            print_json(found)
        else:
            print_table(COLUMNS, [[line[column] for column in COLUMNS] for line in found])
        return
    if saga is None:
        raise ConfigurationError(f"sagas {action}", "which one is not said", "Give its ID, as the list prints it")
    if status is not None:
        raise ConfigurationError("--status", f"narrows the list, and does not go with {action}", "Leave it out")
    if action is Action.RESUME:
        asyncio.run(_resume(system, deploy, saga))
        print_line(f"{saga} resumed")
        return
    shown = asyncio.run(_show(system, deploy, saga))
    if json:
        print_json(shown)
        return
    history = shown.pop("history")
    print_table(("field", "value"), shown.items())
    print_table(("at", "step", "what", "detail"), [line.values() for line in history])


@asynccontextmanager
async def _opened(name: str, deploy: str) -> AsyncIterator[list[Host]]:
    """The services that run sagas."""
    system = find_system(name)
    async with open_services(system, [s.name for s in system.services if s.sagas], deploy) as hosts:
        yield list(hosts.values())


async def _list(system: str, deploy: str, statuses: list[Status]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with _opened(system, deploy) as hosts:
        for host in hosts:
            async with host.work().transaction(readonly=True) as tx:
                for status in statuses:
                    last: UUID | None = None
                    while page := await host.sagas.instances(tx, status=status.value, limit=PAGE, after=last):
                        found += [{"service": host.service.name, **asdict(each)} for each in page]
                        last = page[-1].id
    return sorted(found, key=lambda line: str(line["id"]), reverse=True)


async def _show(system: str, deploy: str, saga: UUID) -> dict[str, Any]:
    async with _opened(system, deploy) as hosts:
        host, instance = await _home(hosts, saga)
        async with host.work().transaction(readonly=True) as tx:
            history = await host.sagas.history(tx, saga)
    return {"service": host.service.name, **asdict(instance), "history": [asdict(line) for line in history]}


async def _resume(system: str, deploy: str, saga: UUID) -> None:
    from freehold.runtime.transaction import MisuseError

    async with _opened(system, deploy) as hosts:
        host, _ = await _home(hosts, saga)
        try:
            await host.sagas.resume(saga)
        except (MisuseError, LookupError) as error:
            raise Problem(409, "CONFLICT", str(error)) from None


async def _home(hosts: list[Host], saga: UUID) -> tuple[Host, SagaView]:
    """The service that runs the instance, and how it stands. Raises a 404 Problem."""
    for host in hosts:
        async with host.work().transaction(readonly=True) as tx:
            instance = await host.sagas.get(tx, saga)
        if instance is not None:
            return host, instance
    raise Problem(404, "NOT_FOUND", f"saga {saga} was not found")
