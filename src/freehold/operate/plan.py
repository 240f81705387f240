"""What containers a system is made of: a database for each service, broker, store, the services and the gateway.

A `${NAME}` in an environment stands for a secret; each format refers to it in its own way, and none holds a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import SecretBytes, SecretStr

from freehold.deploy.config import GATEWAY, PREFIX, SEPARATOR, Deployment
from freehold.deploy.objects import gateway_objects
from freehold.model.errors import ConfigurationError
from freehold.model.service import Service
from freehold.model.system import System
from freehold.operate import servers
from freehold.operate.servers import Container
from freehold.runtime.injection import anyone_takes
from freehold.stores.objects import Objects, open_objects

PORT = 8080
DATA = "/var/lib/freehold"
OBJECTS = "/var/lib/objects"
_SECRET = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Part:
    """A service, or the gateway, as `freehold serve` runs it.

    Args:
        name: what it is called in containers: lower-case, with dashes.
        service: what the system calls it.
        command: after `freehold`.
        environment: with `${NAME}` for secrets.
        optional: further variables that are secrets, and may be missing.
        uses: the names of the servers that it must reach.
        files: it keeps objects in a folder that all share.
    """

    name: str
    service: str
    command: Sequence[str]
    environment: Mapping[str, str]
    optional: Sequence[str] = ()
    uses: Sequence[str] = ()
    files: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole system in containers.

    Args:
        name: of the system, fit for containers.
        servers: databases, broker, store and object store.
        owners: by database, the one part that may reach it.
        parts: the services and, as the last one, the gateway.
        extras: of the package `freehold`, that the image must have.
    """

    name: str
    servers: Sequence[Container]
    owners: Mapping[str, str]
    parts: Sequence[Part]
    extras: Sequence[str] = field(default=())

    def users(self, server: str) -> list[str]:
        """The parts that must reach a server."""
        return [part.name for part in self.parts if server in part.uses]

    def secrets(self) -> dict[str, list[str]]:
        """The variables that must be given, each with the containers that get it."""
        found: dict[str, list[str]] = {}
        containers: list[Container | Part] = [*self.servers, *self.parts]
        for each in containers:
            for name in secrets_in(each.environment):
                found.setdefault(name, []).append(each.name)
        return found


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """The secrets that an environment refers to, each once."""
    return list(dict.fromkeys(name for value in environment.values() for name in _SECRET.findall(value)))


def refer(value: str, form: str) -> str:
    """The value with each secret written in another form, like `$({})`."""
    return _SECRET.sub(lambda found: form.format(found[1]), value)


def plan(system: System, deployment: Deployment, *, named: str, deploy: str = "", external: bool = False) -> Plan:
    """The containers of a system.

    Args:
        system: which.
        deployment: says each service's kind of database (by the scheme of its address, PostgreSQL by default), the
            broker (Kafka by default), and whether there are a Redis and an object store.
        named: the system's name as the command was told; containers start with it.
        deploy: the deployment's name; containers start with it.
        external: databases, broker and stores are elsewhere; their addresses are secrets.

    Raises:
        ConfigurationError: two containers would have one name, or an address is not one.
    """
    return _Planner(system, deployment, named, deploy, external).plan()


class _Planner:
    def __init__(self, system: System, deployment: Deployment, named: str, deploy: str, external: bool) -> None:
        self._system = system
        self._deployment = deployment
        self._start = ("serve", named)
        self._deploy = ("--deploy", deploy) if deploy else ()
        self._external = external
        self._bus = servers.rabbitmq() if deployment.bus.startswith("amqp") else servers.kafka()
        self._store = servers.redis() if deployment.store.startswith("redis") else None
        self._files, self._bucket = False, None
        if gateway_objects(system, open_objects(deployment.objects or "file:///")) is not None:
            self._files = not deployment.objects.startswith("s3://")
            if not self._files and not external:
                self._bucket = servers.versitygw(urlsplit(deployment.objects).netloc)

    def plan(self) -> Plan:
        databases = {service.name: self._database(service) for service in self._system.services}
        shared = [server for server in (self._bus, self._store, self._bucket) if server is not None]
        parts = [self._service(service, databases[service.name]) for service in self._system.services]
        found = [] if self._external else [*databases.values(), *shared]
        made = Plan(
            _dashed(self._system.name),
            found,
            {} if self._external else {databases[name].name: _dashed(name) for name in databases},
            [*parts, self._gateway()],
            sorted({*self._extras(databases.values())}),
        )
        _check_names([*(server.name for server in made.servers), *(part.name for part in made.parts)])
        return made

    def _database(self, service: Service) -> Container:
        scheme = self._deployment.service(service.name).database.partition(":")[0]
        kind = servers.mariadb if scheme in ("mysql", "mariadb") else servers.postgres
        return kind(f"{_dashed(service.name)}-db", service.name, service.database)

    def _extras(self, databases: Iterable[Container]) -> Iterator[str]:
        yield self._bus.extra
        if self._store is not None:
            yield self._store.extra
        if self._files or self._deployment.objects.startswith("s3://"):
            yield "objects"
        yield from {database.extra for database in databases if database.extra}

    # --- parts --------------------------------------------------------------------------------------------------------

    def _service(self, service: Service, database: Container) -> Part:
        own = _variable(service.name, "DATABASE")
        environment = {own: self._address(database, f"{service.name.upper()}_DATABASE_URL")}
        environment |= {f"{PREFIX}BUS": self._address(self._bus, "BUS_URL")} | self._common()
        takes = anyone_takes(service, Objects)
        if takes:
            environment |= self._objects()
        uses = [database, self._bus, self._store, self._bucket if takes else None]
        return Part(
            _dashed(service.name),
            service.name,
            self._command(service.name),
            environment,
            [
                _variable(service.name, f"SETTINGS{SEPARATOR}{name.upper()}")
                for model in service.settings
                for name, declared in model.model_fields.items()
                if declared.annotation in (SecretStr, SecretBytes)
            ],
            [] if self._external else [server.name for server in uses if server is not None],
            takes and self._files,
        )

    def _gateway(self) -> Part:
        environment = self._common()
        if self._files:
            environment |= self._objects()
        uses = [self._store.name] if self._store is not None and not self._external else []
        return Part(GATEWAY, GATEWAY, self._command(GATEWAY), environment, (), uses, self._files)

    def _command(self, service: str) -> Sequence[str]:
        return (*self._start, service, *self._deploy, "--host", "0.0.0.0", "--port", str(PORT))  # noqa: S104

    def _common(self) -> dict[str, str]:
        """What every part is told: where its own folder is, and where it finds the others."""
        found = {
            f"{PREFIX}LAYOUT": "databases",
            f"{PREFIX}DATA": DATA,
            **{
                _variable(service.name, "ADDRESS"): f"http://{_dashed(service.name)}:{PORT}"
                for service in self._system.services
            },
        }
        if self._store is not None:
            found[f"{PREFIX}STORE"] = self._address(self._store, "STORE_URL")
        return found

    def _objects(self) -> dict[str, str]:
        if self._files:
            clients = self._deployment.service(GATEWAY).address or f"http://127.0.0.1:{PORT}"
            return {f"{PREFIX}OBJECTS": f"file://{OBJECTS}", _variable(GATEWAY, "ADDRESS"): clients}
        keys = {"AWS_ACCESS_KEY_ID": "${OBJECTS_ACCESS_KEY}", "AWS_SECRET_ACCESS_KEY": "${OBJECTS_SECRET_KEY}"}
        if self._bucket is None:
            return {f"{PREFIX}OBJECTS": self._deployment.objects, **keys}
        address = urlsplit(self._deployment.objects)
        query = {**dict(parse_qsl(address.query)), "endpoint": self._bucket.address}
        return {f"{PREFIX}OBJECTS": urlunsplit(address._replace(query=urlencode(query, safe=":/"))), **keys}

    def _address(self, server: Container, secret: str) -> str:
        return f"${{{secret}}}" if self._external else server.address


def _variable(service: str, key: str) -> str:
    return f"{PREFIX}SERVICES{SEPARATOR}{service.upper()}{SEPARATOR}{key}"


def _dashed(name: str) -> str:
    return name.lower().replace("_", "-")


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"service {name!r}", "is what another container is called", "Give the service another name"
            )
