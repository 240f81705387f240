"""Deployments: `freehold.toml`, overridden by `FREEHOLD_…` variables. Secrets come from the environment only."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from freehold.model.errors import ConfigurationError
from freehold.model.system import System

FILE = "freehold.toml"
PREFIX = "FREEHOLD_"
SEPARATOR = "__"
Layout = Literal["embedded", "schemas", "databases"]


class ServiceDeployment(BaseModel):
    """Where one service lives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = ""
    url: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)


class Deployment(BaseModel):
    """Where a system lives.

    `layout`: `embedded` keeps a SQLite file for each service in `data`; `schemas` one PostgreSQL database with a
    schema and
    a role for each; `databases` a database and a role for each. The latter two are made on the server that the variable
    FREEHOLD_DATABASE_SERVER names (an administrator's URL), unless a service names its own `database`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Layout = "embedded"
    bus: str = "local://"
    data: Path = Path(".freehold")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    rate_limits: bool = True
    services: dict[str, ServiceDeployment] = Field(default_factory=dict)

    @field_validator("bus")
    @classmethod
    def _known_bus(cls, value: str) -> str:
        if value != "local://":
            raise ValueError(f"{value!r} is not a bus that this version has; use 'local://'")
        return value

    def service(self, name: str) -> ServiceDeployment:
        """The service's own settings, or defaults."""
        return self.services.get(name, ServiceDeployment())


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
    unknown = sorted(set(values.get("services", {})) - {service.name for service in system.services})
    if unknown:
        raise ConfigurationError(
            f"deploy.{name or 'default'}.services",
            f"names {', '.join(unknown)}, which {system.name} does not have",
            f"It has: {', '.join(service.name for service in system.services)}",
        )
    try:
        return Deployment.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "deployment"
        raise ConfigurationError(where, first["msg"], f"Set it in {file.name} or by {PREFIX}{where.upper()}") from None


def _section(file: Path, name: str) -> dict[str, Any]:
    if not file.exists():
        if name:
            raise ConfigurationError(f"deploy.{name}", f"there is no {file.name} here", "Write one with this section")
        return {}
    try:
        document = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file.name), f"is not TOML: {error}", "Mend the line it names") from None
    sections: dict[str, dict[str, Any]] = document.get("deploy", {})
    if name and name not in sections:
        known = ", ".join(sections) or "none"
        raise ConfigurationError(f"deploy.{name}", "is not in freehold.toml", f"Deployments there: {known}")
    return dict(sections.get(name or "default", {}))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """`FREEHOLD_SERVICES__ORDERS__DATABASE=…` becomes {"services": {"orders": {"database": …}}}."""
    values: dict[str, Any] = {}
    for variable, value in environment.items():
        path = variable.removeprefix(PREFIX).lower().split(SEPARATOR)
        if variable.startswith(PREFIX) and path[0] in Deployment.model_fields:
            nested = values
            for part in path[:-1]:
                nested = nested.setdefault(part, {})
            nested[path[-1]] = value
    return values


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
