"""A system with the questions about it that both the checks and the description ask."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.exc import NoReferencedColumnError, NoReferencedTableError

from freehold.inspect.calls import Calls
from freehold.inspect.event_lock import EventLock
from freehold.inspect.source import Place, Source
from freehold.model.access import Access
from freehold.model.messages import Command, Event
from freehold.model.saga import Saga
from freehold.model.service import Service
from freehold.model.system import System
from freehold.observe.sql_tables import TableOwners


@dataclass(frozen=True, slots=True)
class Target:
    """The column that a foreign key points to; `service` is None when nobody owns such a table."""

    service: Service | None
    table: str
    column: str

    @property
    def exists(self) -> bool:
        """Whether the service has that column."""
        return self.service is not None and self.column in _columns(self.service, self.table)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path that a service answers, as its callers see it, and as its declaration writes it.

    They differ where queries share a path and a field with one possible value tells them apart.
    """

    service: Service
    method: str
    path: str
    written: str
    access: Access | None
    declared: Callable[..., Any]


class Survey:
    """One look at a system: nothing in it may change afterwards.

    Args:
        system: what is looked at.
        folder: where its freehold.toml is; the working directory when None.
        lock: the schemas that it has published before; those of its events.lock when None.
    """

    def __init__(self, system: System, folder: Path | None = None, *, lock: EventLock | None = None) -> None:
        self.system = system
        self.lock = lock or EventLock.of(system)
        self.source = Source(system)
        self.folder = Path.cwd() if folder is None else folder

    @functools.cached_property
    def calls(self) -> Calls:
        """Which services ask which."""
        return Calls(self.system, self.source)

    @functools.cached_property
    def owners(self) -> TableOwners:
        """Whose tables the names in a statement are."""
        return TableOwners(self.system)

    @property
    def services(self) -> list[Service]:
        """Its services."""
        return list(self.system.services)

    def service(self, name: str) -> Service | None:
        """The service of this name, if there is one."""
        return next((service for service in self.system.services if service.name == name), None)

    def tables(self) -> Iterator[tuple[Service, Table]]:
        """Every table with the service that declares it; without the toolkit's own."""
        for service in self.system.services:
            for table in service.metadata.tables.values():
                yield service, table

    def column(self, service: str, table: str, column: str) -> Column[Any] | None:
        """A column of a service's table, if it is there."""
        owner = self.service(service)
        return _columns(owner, table).get(column) if owner else None

    def target(self, service: Service, key: ForeignKey) -> Target:
        """What a foreign key in a table of `service` points to, wherever that lives."""
        try:
            column = key.column
        except (NoReferencedTableError, NoReferencedColumnError):  # the name says nothing to this service's tables
            *schema, table, name = key.target_fullname.split(".")
            owner = service if table in service.metadata.tables else self._owner(table, schema)
            return Target(owner, table, name)
        owners = [other for other, table in self.tables() if table is column.table]
        owner = service if service in owners else next(iter(owners), None)
        return Target(owner, column.table.name, column.name)

    def _owner(self, table: str, schema: list[str]) -> Service | None:
        named = self.service(schema[-1]) if schema else None
        return named or next((s for s in self.system.services if table in s.metadata.tables), None)

    def can_answer(self, command: type[Command], event: type[Event]) -> bool:
        """Whether the service that carries the command out publishes the event.

        True as well where nobody does either: other rules say so.
        """
        handler, publishers = self.system.handler_of(command), self.publishers(event.__message__.name)
        return handler is None or not publishers or any(publisher is handler for publisher in publishers)

    def publishers(self, name: str) -> list[Service]:
        """The services that say they publish the event of this name."""
        return [s for s in self.system.services if any(event.__message__.name == name for event in s.publishes)]

    def is_published(self, event: type[Event]) -> bool:
        """Whether some service publishes it."""
        return bool(self.publishers(event.__message__.name))

    def sagas(self) -> Iterator[tuple[Service, Saga]]:
        """Each saga, former versions included, with its service."""
        for service, saga in self.system.sagas():
            for definition in (saga, *saga.former):
                yield service, definition

    def endpoints(self, service: Service) -> list[Endpoint]:
        """Every route, resource and answered query; each at the path where it is served."""
        routes = [self._endpoint(service, r.method, r.path, r.access, r.handler) for r in service.routes]
        resources = [
            self._endpoint(service, method, path, access, resource.table)
            for resource in service.resources
            for _, method, path, access in resource.operations()
        ]
        answers = [
            self._endpoint(service, spec.method, spec.route, answer.access, answer.function, written=spec.path)
            for query, answer in service.answered.items()
            for spec in [query.__query__]
        ]
        return [*routes, *resources, *answers]

    def _endpoint(
        self,
        service: Service,
        method: str,
        path: str,
        access: Access | None,
        declared: Callable[..., Any],
        *,
        written: str = "",
    ) -> Endpoint:
        served, as_written = (self.system.gateway.path(each) for each in (path, written or path))
        return Endpoint(service, method, served, as_written, access, declared)

    def place_of_service(self, service: Service) -> Place | None:
        """Where the service is declared."""
        return self.source.of_call("Service", service.name, service)

    def place_of_column(self, service: Service, column: Column[Any]) -> Place | None:
        """Where the column is declared, or its table."""
        mapped = self.mapped(service, column.table)
        if mapped is None:
            return None
        attribute = mapped.__mapper__.get_property_by_column(column).key
        return self.source.of_attribute(mapped, attribute)

    def mapped(self, service: Service, table: object) -> type[Any] | None:
        """The class that is mapped to a table of the service."""
        mappers = service.tables.registry.mappers if service.tables is not None else ()
        return next((mapper.class_ for mapper in mappers if mapper.local_table is table), None)


def _columns(service: Service, table: str) -> dict[str, Column[Any]]:
    found = service.metadata.tables.get(table)
    return {column.name: column for column in found.columns} if found is not None else {}
