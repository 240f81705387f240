"""A service's settings: from its deployment, validated by its own models, and the toolkit's own for it."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from freehold.deploy.config import Deployment
from freehold.model.errors import ConfigurationError
from freehold.model.saga import duration
from freehold.model.service import Service
from freehold.runtime.idempotency import IdempotencySettings
from freehold.runtime.retention import RetentionSettings
from freehold.runtime.saga_machine import SagaSettings

TOOLKIT: Final[dict[str, type[Any]]] = {
    "retention": RetentionSettings,
    "sagas": SagaSettings,
    "idempotency": IdempotencySettings,
}
"""The toolkit's own settings by section, of the whole deployment or of one service."""


def read_settings(service: Service, deployment: Deployment) -> dict[type[Any], Any]:
    """What a deployment says to a service, by type.

    Each of the service's settings models is filled from `[deploy.NAME.services.SERVICE.settings]` and the environment.
    The toolkit's settings are there where the deployment says something to them, for all services or for this one.

    Raises:
        ConfigurationError: a setting that no model has, or a value that does not fit.
    """
    made: dict[type[Any], Any] = dict(_own(service, deployment))
    for section, kind in TOOLKIT.items():
        of_all: dict[str, Any] = getattr(deployment, section)
        of_this: dict[str, Any] = getattr(deployment.service(service.name), section)
        values = _read(kind, of_all, section) | _read(kind, of_this, f"services.{service.name}.{section}")
        if values:
            made[kind] = kind(**values)
    return made


def _own(service: Service, deployment: Deployment) -> dict[type[BaseModel], BaseModel]:
    given: dict[str, Any] = deployment.service(service.name).settings
    known = {name for model in service.settings for name in model.model_fields}
    unknown = sorted(set(given) - known)
    where = f"services.{service.name}.settings"
    if unknown:
        raise ConfigurationError(where, f"has {', '.join(unknown)}, which is no setting", f"Settings: {sorted(known)}")
    made: dict[type[BaseModel], BaseModel] = {}
    for model in service.settings:
        try:
            fields = {name: field.annotation for name, field in model.model_fields.items() if name in given}
            values = {name: _parts(given[name], kind, f"{where}.{name}") for name, kind in fields.items()}
            made[model] = model.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{where}.{field}", first["msg"], "Correct the value") from None
    return made


def _parts(given: Any, kind: Any, where: str) -> Any:
    """What has parts is JSON in a variable."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kinds = {get_origin(each) or each for each in choices}
    if not isinstance(given, str) or str in kinds or not any(_has_parts(each) for each in kinds):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise ConfigurationError(where, "is no JSON", 'Write it like [1, 2], or {"name": 1}') from None


def _has_parts(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, list | tuple | set | frozenset | dict | BaseModel)


def _read(kind: type[Any], given: dict[str, Any], where: str) -> dict[str, Any]:
    """The values of some of a dataclass's fields, durations and numbers read as such."""
    types = get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := sorted(given.keys() - set(known)):
        raise ConfigurationError(f"{where}.{unknown[0]}", "is no setting", f"There are: {', '.join(known)}")
    return {name: _value(types[name], value, f"{where}.{name}") for name, value in given.items()}


def _value(kind: type[Any], given: Any, where: str) -> Any:
    if kind is timedelta:
        problem, remedy = f"{given!r} is no duration above zero", "Write it like '30s', '10m', '24h' or '7d'"
    else:
        problem, remedy = f"{given!r} is no number above zero", f"Give {'a whole one' if kind is int else 'seconds'}"
    try:
        value: Any = duration(given) if kind is timedelta else TypeAdapter(kind).validate_python(given)
    except (ValueError, TypeError, OverflowError):
        value = None
    if value is None or value <= type(value)():
        raise ConfigurationError(where, problem, remedy)
    return value
