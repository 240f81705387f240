"""Services' databases, opened beside whatever process runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.model.ports import Engine
    from freehold.model.service import Service
    from freehold.model.system import System
    from freehold.runtime.host import Host


def chosen_services(system: System, names: Sequence[str]) -> Sequence[Service]:
    """The services of these names, each once. Raises ConfigurationError: the system has no such service."""
    known = {service.name: service for service in system.services}
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError(
            f"service {unknown[0]!r}", f"{system.name} has none of this name", f"It has: {', '.join(known)}"
        )
    return [known[name] for name in dict.fromkeys(names)]


@asynccontextmanager
async def open_databases_of(
    system: System, names: Sequence[str], deploy: str, *, make: bool = True
) -> AsyncIterator[Mapping[str, Engine]]:
    """The databases of these services, by name, and of all when none is named; nothing is read or changed in them.

    Args:
        make: databases that are missing are made, where the layout makes them.

    Raises:
        ConfigurationError: the system has no such service; a database cannot be had.
    """
    from freehold.deploy.config import read
    from freehold.deploy.databases import find_databases, open_databases, open_engine_of, reach

    services = chosen_services(system, names or [service.name for service in system.services])
    deployment = read(system, deploy)
    urls = await (open_databases(system, deployment, services) if make else find_databases(system, deployment))
    async with AsyncExitStack() as stack:
        engines: dict[str, Engine] = {}
        for service in services:
            engine = engines[service.name] = open_engine_of(service.name, urls[service.name], deployment)
            stack.push_async_callback(engine.close)
            await reach(engine, service.name)
        yield engines


@asynccontextmanager
async def open_service(system: System, name: str, deploy: str) -> AsyncIterator[Host]:
    """The service on its database; it neither publishes nor consumes.

    Raises:
        ConfigurationError: the system has no such service.
    """
    async with open_services(system, [name], deploy) as hosts:
        yield hosts[name]


@asynccontextmanager
async def open_services(system: System, names: Sequence[str], deploy: str) -> AsyncIterator[Mapping[str, Host]]:
    """These services on their databases, by name; they can ask each other. What a fresh database needs is made.

    Raises:
        ConfigurationError: the system has no such service; a database is behind.
    """
    from freehold.deploy.config import read
    from freehold.deploy.databases import data_folder
    from freehold.deploy.given import given_to
    from freehold.deploy.identities import Identities
    from freehold.deploy.migrations.migrate import Migrations
    from freehold.deploy.objects import deployed_objects
    from freehold.deploy.settings import read_settings
    from freehold.model.ports import SystemClock
    from freehold.runtime.calls import LocalCaller
    from freehold.runtime.host import Host
    from freehold.stores import open_store

    known = {service.name: service for service in chosen_services(system, names)}
    deployment = read(system, deploy)
    folder = data_folder(system, deployment)
    async with AsyncExitStack() as stack:
        engines = await stack.enter_async_context(open_databases_of(system, list(known), deploy)) if known else {}
        for name, engine in engines.items():
            await Migrations(known[name], engine).start(automatic=False)
        keys = Identities.open(system, folder, SystemClock())  # makes them on the first start: when all else is there
        store = await stack.enter_async_context(open_store(deployment.store, system.name))
        objects = deployed_objects(system, deployment, folder, SystemClock())
        hosts: dict[str, Host] = {}
        caller = LocalCaller(system, hosts)
        for name, engine in engines.items():
            settings = read_settings(known[name], deployment)
            given = given_to(name, settings, identities=keys, store=store, objects=objects, folder=folder)
            hosts[name] = Host(system, known[name], engine, caller=caller, given=given)
            stack.push_async_callback(hosts[name].close)
        yield hosts
