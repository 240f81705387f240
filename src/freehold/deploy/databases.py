"""Where each service's tables are: a file, a schema or a database of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from freehold.deploy.config import Deployment
from freehold.deploy.lock import make_folder
from freehold.deploy.secrets import derive, open_secret
from freehold.engines.factory import open_engine, parse_url
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Engine
from freehold.model.service import Service
from freehold.model.system import System

SERVER = "FREEHOLD_DATABASE_SERVER"


async def open_databases(
    system: System, deployment: Deployment, services: Sequence[Service] | None = None
) -> Mapping[str, str]:
    """The address of each service's database, with its password; made first where the layout makes them.

    Args:
        services: those whose databases are wanted; all when None.

    Raises:
        ConfigurationError: a layout that needs a server, and none is named.
    """
    return await _databases(system, deployment, services, make=True)


async def find_databases(system: System, deployment: Deployment) -> Mapping[str, str]:
    """The same addresses, whether there is anything at them or not: nothing is made, and no right is put in order.

    Raises:
        ConfigurationError: a layout that needs a server, and none is named.
    """
    return await _databases(system, deployment, None, make=False)


async def _databases(
    system: System, deployment: Deployment, services: Sequence[Service] | None, *, make: bool
) -> Mapping[str, str]:
    services = system.services if services is None else services
    named = {s.name: url for s in services if (url := deployment.service(s.name).database)}
    missing = [service for service in services if service.name not in named]
    if not missing:
        return named
    if deployment.layout == "embedded":
        folder = data_folder(system, deployment)
        if make:
            make_folder(folder)
        return {**{s.name: f"sqlite:///{folder / s.database}.sqlite" for s in missing}, **named}
    return {**await _on_server(system, deployment, missing, make=make), **named}


def open_engine_of(service: str, url: str, deployment: Deployment) -> Engine:
    """The service's engine, with as many connections as the deployment grants this process; nothing is connected yet.

    Raises:
        ConfigurationError: the address cannot be opened.
    """
    if parse_url(url).drivername == "sqlite":
        return open_engine(url)
    return open_engine(url, pool_size=deployment.connections_of(service), max_overflow=0)


async def reach(engine: Engine, service: str) -> None:
    """Ask the service's database for a sign of life. Raises ConfigurationError."""
    try:
        await engine.ping()
    except Exception as error:
        why = " ".join(str(_first_cause(error)).split()) or type(error).__name__
        raise ConfigurationError(
            f"services.{service}.database",
            f"{engine.url} cannot be used ({why})",
            f"Start its server, or correct the address in FREEHOLD_SERVICES__{service.upper()}__DATABASE",
        ) from error


def _first_cause(error: BaseException) -> BaseException:
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error


def data_folder(system: System, deployment: Deployment) -> Path:
    """What this system keeps on this machine: embedded databases, keys, the lock."""
    return deployment.data.absolute() / system.name


async def _on_server(
    system: System, deployment: Deployment, services: list[Service], *, make: bool
) -> Mapping[str, str]:
    from freehold.engines.provision import Account, account_url, provision_databases, provision_schemas

    server = os.environ.get(SERVER)
    if not server:
        raise ConfigurationError(
            SERVER,
            f"is not set, and layout {deployment.layout!r} makes databases on a server",
            "Set it to an administrator's URL, or name every service's own database",
        )
    secret = open_secret(data_folder(system, deployment))
    schemas = deployment.layout == "schemas"
    mysql = parse_url(server).drivername in ("mysql", "mariadb")
    if schemas and mysql:
        raise ConfigurationError(
            SERVER,
            "names a MySQL server, which has no schemas within a database",
            "Choose layout 'databases', or a PostgreSQL server",
        )
    roles = {s.name: f"{system.name}_{s.name}" for s in services}
    accounts = [
        Account(
            role=roles[s.name],
            password=derive(secret, f"database/{system.name}/{s.name}"),
            namespace=s.name if schemas else f"{system.name}_{s.database}",
        )
        for s in services
    ]
    if not make:
        shared = system.name if schemas else None
        urls = {account.role: account_url(parse_url(server), account, shared) for account in accounts}
    elif mysql:
        from freehold.engines import provision_mysql

        urls = await provision_mysql.provision_databases(server, accounts)
    elif schemas:
        urls = await provision_schemas(server, system.name, accounts)
    else:
        urls = await provision_databases(server, accounts)
    return {name: urls[role] for name, role in roles.items()}
