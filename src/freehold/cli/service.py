"""One service's database, opened beside whatever process runs the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.model.system import System
    from freehold.runtime.host import Host


@asynccontextmanager
async def open_service(system: System, name: str, deploy: str) -> AsyncIterator[Host]:
    """The service on its database; it neither publishes nor consumes.

    Raises:
        ConfigurationError: the system has no such service.
    """
    from freehold.deploy.config import read
    from freehold.deploy.databases import data_folder, open_databases, reach
    from freehold.engines import open_engine
    from freehold.model.ports import DataFolder
    from freehold.runtime.host import Host

    found = next((service for service in system.services if service.name == name), None)
    if found is None:
        known = ", ".join(service.name for service in system.services)
        raise ConfigurationError(f"service {name!r}", f"{system.name} has none of this name", f"It has: {known}")
    deployment = read(system, deploy)
    databases = await open_databases(system, deployment)
    folder = DataFolder(data_folder(system, deployment))
    engine = open_engine(databases[name])
    try:
        await reach(engine, name)
        host = Host(system, found, engine, given={DataFolder: folder})
    except BaseException:
        await engine.close()
        raise
    try:
        yield host
    finally:
        await host.close()
