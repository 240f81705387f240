"""`freehold flags`"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import AsJson, print_json, print_line, print_table
from freehold.cli.service import open_service
from freehold.cli.systems import DeployName, SystemName, find_system
from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.model.flags import Rollout
    from freehold.model.system import System


class Action(StrEnum):
    """What is done with a flag."""

    SET = "set"


ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="Whose flags.", show_default=False)]


def flags(
    system: SystemName,
    service: ServiceName,
    action: Annotated[Action | None, typer.Argument(metavar="ACTION", help="set; without it they are listed.")] = None,
    flag: Annotated[str, typer.Argument(metavar="FLAG", help="Which to set.", show_default=False)] = "",
    setting: Annotated[
        str, typer.Argument(metavar="SETTING", help="on, off, 25% or user:ID.", show_default=False)
    ] = "",
    *,
    deploy: DeployName = "",
    json: AsJson = False,
) -> None:
    """List a service's feature flags, or set one while the service runs.

    A percentage is of the users, always the same ones; user:ID adds one user to whom it is on already, and off takes it
    from all of them. Every process of the service acts on it within a second, and it leaves a row in audit_logs.

    \b
    Example:
      freehold flags petpro pet
      freehold flags petpro pet set pet.species_ref.read 25%
      freehold flags petpro pet set pet.species_ref.read user:0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77
      freehold flags petpro pet set pet.species_ref.read off
    """
    import asyncio

    found = find_system(system)
    if action is None:
        _print(found, service, asyncio.run(_list(found, service, deploy)), json)
        return
    if not flag or not setting:
        raise ConfigurationError(
            "flags set", "flag or setting is not said", "Give FLAG, as the list prints it, and SETTING"
        )
    now = asyncio.run(_set(found, service, deploy, flag, setting))
    if json:
        print_json({"flag": flag, "percent": now.percent, "users": sorted(now.users)})
    else:
        print_line(f"{flag}: {now}")


def _print(system: System, service: str, rollouts: dict[str, Rollout], json: bool) -> None:
    texts = {flag.name: flag.text for flag in system.service(service).flags}
    if json:
        print_json(
            [
                {"flag": name, "percent": now.percent, "users": sorted(now.users), "text": texts[name]}
                for name, now in rollouts.items()
            ]
        )
    else:
        print_table(("flag", "on for", "text"), [[name, str(now), texts[name]] for name, now in rollouts.items()])


async def _list(system: System, service: str, deploy: str) -> dict[str, Rollout]:
    async with open_service(system, service, deploy) as host:
        await host.create_tables()
        async with host.work().transaction(readonly=True) as tx:
            return await host.flags.all(tx)


async def _set(system: System, service: str, deploy: str, flag: str, setting: str) -> Rollout:
    async with open_service(system, service, deploy) as host:
        await host.create_tables()
        return await host.work().run(lambda tx: host.flags.set(flag, setting, tx))
