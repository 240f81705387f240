"""Where a deployment keeps objects, and who is served with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from freehold.deploy.config import Deployment
from freehold.deploy.secrets import derive, open_secret
from freehold.model.ports import Clock
from freehold.model.service import Service
from freehold.model.system import System
from freehold.runtime.injection import anyone_takes
from freehold.stores.objects import Objects, open_objects


def deployed_objects(deployment: Deployment, folder: Path, clock: Clock) -> Objects:
    """The deployment's objects; nothing is opened before somebody uses them.

    Args:
        deployment: says where they are.
        folder: the system's data folder: they are in it by default, and so may the secret be.
        clock: where the time comes from.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(deployment.host, deployment.host)  # noqa: S104 - not bound here
    return open_objects(
        deployment.objects or (folder / "objects").as_uri(),
        secret=lambda: derive(open_secret(folder), "objects").encode(),
        public=f"http://{host}:{deployment.port}",
        clock=clock,
    )


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
