"""A service's settings: from its deployment, validated by its own models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from freehold.deploy.config import Deployment
from freehold.model.errors import ConfigurationError
from freehold.model.service import Service


def read_settings(service: Service, deployment: Deployment) -> dict[type[BaseModel], BaseModel]:
    """Each of the service's settings models, filled from `[deploy.NAME.services.SERVICE.settings]` and the environment.

    Raises:
        ConfigurationError: a setting that no model has, or a value that does not fit.
    """
    given: dict[str, Any] = deployment.service(service.name).settings
    known = {name for model in service.settings for name in model.model_fields}
    unknown = sorted(set(given) - known)
    where = f"services.{service.name}.settings"
    if unknown:
        raise ConfigurationError(where, f"has {', '.join(unknown)}, which is no setting", f"Settings: {sorted(known)}")
    made: dict[type[BaseModel], BaseModel] = {}
    for model in service.settings:
        try:
            made[model] = model.model_validate({k: v for k, v in given.items() if k in model.model_fields})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{where}.{field}", first["msg"], "Correct the value") from None
    return made
