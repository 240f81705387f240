"""Where a deployment keeps objects, and who is served with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from freehold.deploy.config import GATEWAY, Deployment
from freehold.model.ports import Clock
from freehold.model.service import Service
from freehold.model.system import System
from freehold.runtime.injection import anyone_takes
from freehold.stores.objects import Objects, open_objects


def deployed_objects(system: System, deployment: Deployment, folder: Path, clock: Clock) -> Objects:
    """The deployment's objects; nothing is opened before somebody uses them.

    Args:
        system: whose gateway answers presigned URLs of objects in a folder.
        deployment: says where they are.
        folder: the system's data folder; they are in it by default.
        clock: where the time comes from.
    """
    url = deployment.objects or (folder / "objects").as_uri()
    return open_objects(url, public=deployment.address(system, GATEWAY), clock=clock)


def gateway_objects(system: System, objects: Objects) -> Objects | None:
    """What the gateway answers presigned URLs of; None in a system without objects."""
    return objects if any(anyone_takes(service, Objects) for service in system.services) else None


def object_checks(service: Service, objects: Objects) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """What readiness asks of the objects: nothing, unless a function of the service takes them.

    Raises:
        ConfigurationError: one does, and the client is not installed.
    """
    if not anyone_takes(service, Objects):
        return {}
    objects.open()
    return {"objects": objects.ping}
