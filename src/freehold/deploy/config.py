"""Deployments: `freehold.toml`, overridden by `FREEHOLD_…` variables. Secrets come from the environment only."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from freehold.buses.factory import SCHEMES
from freehold.model.errors import ConfigurationError
from freehold.model.ports import CONNECTIONS
from freehold.model.system import System
from freehold.model.topology import PARTITIONS
from freehold.stores import objects
from freehold.stores.store import SCHEMES as STORES

FILE = "freehold.toml"
PREFIX = "FREEHOLD_"
SEPARATOR = "__"
SECTIONS = ("systems", "deploy", "check")
GATEWAY = "gateway"
"""What may be configured like a service."""
OTHERS = ("SECRET", "DATABASE_SERVER", "CRASH_AT", "TEST_", "MATRIX")
"""What else begins with the prefix; the last two are the toolkit's own tests'."""
Layout = Literal["embedded", "schemas", "databases"]


class ServiceDeployment(BaseModel):
    """Where one service lives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = Field(default="", repr=False)  # may hold a password
    address: str = ""
    workers: int = Field(default=1, ge=1, le=64)
    connections: int | None = Field(default=None, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)
    retention: dict[str, Any] = Field(default_factory=dict)
    sagas: dict[str, Any] = Field(default_factory=dict)
    idempotency: dict[str, Any] = Field(default_factory=dict)


class Deployment(BaseModel):
    """Where a system lives.

    `layout`: `embedded` keeps a SQLite file for each service in `data`; `schemas` one PostgreSQL database with a
    schema and a role for each; `databases` a database and a role for each. The latter two are made on the server that
    the variable FREEHOLD_DATABASE_SERVER names (an administrator's URL), unless a service names its own `database`.
    `objects` is a folder or a bucket; empty: the folder `objects` in the data folder.
    `partitions` is how many each topic has at a broker, unless `topics` gives one another number. Where services are
    processes, each answers at its `address` (base URL) in as many processes as it has `workers`; they share the
    `connections` that a service may hold to its server. `sql_detector` is the share of statements and requests that are
    looked at for tables of other services, and for writes to two databases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Layout = "embedded"
    bus: str = Field(default="local://", repr=False)  # may hold a password
    partitions: int = Field(default=PARTITIONS, ge=1)
    topics: dict[str, int] = Field(default_factory=dict)
    store: str = Field(default="memory://", repr=False)  # may hold a password
    objects: str = ""
    data: Path = Path(".freehold")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    connections: int = Field(default=CONNECTIONS, ge=1)
    rate_limits: bool = True
    queue_mode: bool = False
    sql_detector: float = Field(default=0.0, ge=0, le=1)
    retention: dict[str, Any] = Field(default_factory=dict)
    sagas: dict[str, Any] = Field(default_factory=dict)
    idempotency: dict[str, Any] = Field(default_factory=dict)
    services: dict[str, ServiceDeployment] = Field(default_factory=dict)

    @field_validator("bus")
    @classmethod
    def _known_bus(cls, value: str) -> str:
        if not value.startswith(SCHEMES):
            raise ValueError(f"is no address of a bus that this version has; it begins with {' or '.join(SCHEMES)}")
        return value

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if not value.startswith(STORES):
            raise ValueError(f"is no address of a store; it begins with {' or '.join(STORES)}")
        return value

    @field_validator("objects")
    @classmethod
    def _known_objects(cls, value: str) -> str:
        if value and not value.startswith(objects.SCHEMES):
            raise ValueError(f"is no address of objects; it begins with {' or '.join(objects.SCHEMES)}")
        return value

    def service(self, name: str) -> ServiceDeployment:
        """The service's own settings, or defaults."""
        return self.services.get(name, ServiceDeployment())

    def connections_of(self, name: str) -> int:
        """How many connections each process of a service may hold: its share, and at least two."""
        service = self.service(name)
        return max(2, (service.connections or self.connections) // service.workers)

    def port_of(self, system: System, name: str) -> int:
        """Where a service listens: the gateway at `port`, the services at those that follow, in the system's order."""
        names = [service.name for service in system.services]
        return self.port + 1 + names.index(name) if name in names else self.port

    def address(self, system: System, name: str) -> str:
        """The base URL under which others reach a service."""
        return self.service(name).address or base_url(self.host, self.port_of(system, name))


def base_url(host: str, port: int) -> str:
    """The address of what listens there."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def read(
    system: System,
    name: str = "",
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **given: Any,
) -> Deployment:
    """The deployment `name` of a system.

    Args:
        system: whose services may be named.
        name: a `[deploy.NAME]` section; empty: `[deploy.default]` if there is one, else embedded defaults.
        folder: where freehold.toml is looked for.
        environment: variables; the process's own when None.
        given: keys that win over both, from the command line; None counts as not given.

    Raises:
        ConfigurationError: an unknown deployment, service or key, or a value of the wrong kind.
    """
    file = (folder or Path.cwd()) / FILE
    environment = os.environ if environment is None else environment
    values = _section(file, name)
    _merge(values, _from_environment(environment))
    values.update({key: value for key, value in given.items() if value is not None})
    services = values.get("services", {})
    unknown = (
        sorted(set(services) - {GATEWAY, *(service.name for service in system.services)}) if _is_table(services) else []
    )
    if unknown:
        raise ConfigurationError(
            f"deploy.{name or 'default'}.services",
            f"names {', '.join(unknown)}, which {system.name} does not have",
            f"It has: {', '.join(service.name for service in system.services)}",
        )
    try:
        return Deployment.model_validate(values)
    except ValidationError as error:
        raise _explained(error, file.name) from None


def _explained(error: ValidationError, file: str) -> ConfigurationError:
    """What is wrong first, and where it can be put right."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = ServiceDeployment if path[0] == "services" else Deployment
        return ConfigurationError(".".join(path), "is no setting", f"There are: {', '.join(known.model_fields)}")
    variable = PREFIX + SEPARATOR.join(path).upper()
    problem = first["msg"].removeprefix("Value error, ")
    return ConfigurationError(".".join(path), problem, f"Correct it in {file}, or by {variable}")


def read_document(file: Path) -> dict[str, Any]:
    """What a freehold.toml says; nothing when it is not there.

    Raises:
        ConfigurationError: it is not TOML, or has a section that does not exist.
    """
    if not file.exists():
        return {}
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file.name), f"is not TOML: {error}", "Mend the line it names") from None
    if unknown := sorted(document.keys() - set(SECTIONS)):
        known = "systems, deploy.NAME, check"
        raise ConfigurationError(f"{file.name}: {unknown[0]}", "is no section", f"There are: {known}")
    sections: dict[str, dict[str, Any]] = document.get("deploy", {})
    if not _is_table(sections) or not all(map(_is_table, sections.values())):
        raise ConfigurationError(
            f"{file.name}: deploy", "is not made of sections", "Write [deploy.NAME], then its keys"
        )
    return document


def _section(file: Path, name: str) -> dict[str, Any]:
    if name and not file.exists():
        raise ConfigurationError(f"deploy.{name}", f"there is no {file.name} here", "Write one with this section")
    sections: dict[str, dict[str, Any]] = read_document(file).get("deploy", {})
    if name and name not in sections:
        known = ", ".join(sections) or "none"
        raise ConfigurationError(f"deploy.{name}", "is not in freehold.toml", f"Deployments there: {known}")
    return dict(sections.get(name or "default", {}))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """`FREEHOLD_SERVICES__ORDERS__DATABASE=…` becomes {"services": {"orders": {"database": …}}}."""
    values: dict[str, Any] = {}
    for variable, value in sorted(environment.items()):
        rest = variable.removeprefix(PREFIX)
        if rest == variable or rest.startswith(OTHERS):
            continue
        *path, last = rest.lower().split(SEPARATOR)
        nested = values
        for part in path:
            nested = nested.setdefault(part, {}) if _is_table(nested) else {}
        if [*path, last][0] not in Deployment.model_fields or not _is_table(nested):
            known = ", ".join(PREFIX + name.upper() for name in Deployment.model_fields)
            raise ConfigurationError(variable, "is no setting", f"There are: {known}{SEPARATOR}SERVICE{SEPARATOR}KEY")
        nested[last] = value
    return values


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
