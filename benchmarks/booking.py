"""The booking service of Booking Rush as a server under load, alone or behind the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from freehold import SystemClock, User
from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.given import given_to
from freehold.deploy.identities import Identities
from freehold.deploy.objects import deployed_objects
from freehold.deploy.process import Process
from freehold.deploy.settings import read_settings
from freehold.engines import open_engine
from freehold.http import gateway_app, service_app
from freehold.identity import TokenIssuer
from freehold.runtime.calls import LocalCaller
from freehold.runtime.host import Host
from freehold.stores import open_store
from systems.booking_rush.demo import load_set
from systems.booking_rush.demo_rows import DEFAULT_TENANT
from systems.booking_rush.system import system

SEATS = 5_000_000
EVENT = "d0000000-0000-0000-0000-000000000001"
SHOW = "c0000000-0000-0000-0001-000000000001"
ZONE = "b0000000-0000-0001-0001-000000000000"
SERVICES = [service.name for service in system.services]


def deployment(urls: Mapping[str, str], folder: str) -> Deployment:
    """Each service on its own database, without rate limits; a crowd of any size buys without a queue."""
    settings = {"booking": {"queue_auto_buyers": 1_000_000}}
    services = {name: ServiceDeployment(database=url, settings=settings.get(name, {})) for name, url in urls.items()}
    return Deployment(layout="databases", data=Path(folder), services=services, rate_limits=False)


async def prepare(urls: Mapping[str, str], folder: str) -> dict[str, float]:
    """Fill the databases: a catalogue with millions of seats."""
    async with Process(system, deployment(urls, folder)) as process:
        works = {name: unit.host.work() for name, unit in process.units.items()}
        await load_set(works, lambda *_: None, users=0, seats=SEATS)
        for unit in process.units.values():
            await unit.host.outbox.until_drained()
    return {}


def identities(folder: str) -> Identities:
    """The keys that `prepare` made."""
    return Identities.open(system, Path(folder).absolute() / system.name, SystemClock())


def tokens(folder: str, ids: list[UUID]) -> list[str]:
    """Access tokens of these users, signed with the auth service's key."""
    issuer = identities(folder).given("auth")[TokenIssuer]
    return [issuer.issue(User(id, roles=frozenset({"customer"}), tenant_id=DEFAULT_TENANT)) for id in ids]


@asynccontextmanager
async def app(urls: Mapping[str, str], folder: str, *, gateway: bool) -> AsyncIterator[Any]:
    """Booking's app, or the gateway with all services in its process. Relays do not run, as on the other side."""
    place, keys = deployment(urls, folder), identities(folder)
    hosts: dict[str, Host] = {}
    for service in system.services:
        given = given_to(
            service.name,
            read_settings(service, place),
            identities=keys,
            store=open_store(place.store, system.name),
            objects=deployed_objects(system, place, Path(folder), SystemClock()),
            folder=Path(folder),
        )
        caller = LocalCaller(system, hosts)
        hosts[service.name] = Host(system, service, open_engine(urls[service.name]), caller=caller, given=given)
    apps = {
        name: service_app(host, verifier=keys.verifier(), service_verifier=keys.service_verifier(name))
        for name, host in hosts.items()
    }
    yield gateway_app(system, apps, limited=False) if gateway else apps["booking"]
    for host in hosts.values():
        await host.close()
