"""One running service: its declarations, with the database, clock and neighbours they run on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from sqlalchemy import FromClause

from freehold.model.errors import ConfigurationError
from freehold.model.messages import Event, Query
from freehold.model.ports import Caller, Clock, Engine, SystemClock
from freehold.model.service import Coalescing, Service
from freehold.model.system import System
from freehold.runtime.bulk import BulkInsert, BulkInserts
from freehold.runtime.context import NOBODY, Asking, Context
from freehold.runtime.flags import Flags
from freehold.runtime.idempotency import Idempotency, IdempotencySettings
from freehold.runtime.inbox import Inbox
from freehold.runtime.outbox import Outbox
from freehold.runtime.provided import Provided
from freehold.runtime.tables import FrameworkTables
from freehold.runtime.tenancy import TenantScope
from freehold.runtime.work import Work

if TYPE_CHECKING:
    from freehold.runtime.coalesce import Coalescer
    from freehold.runtime.sagas import Sagas
    from freehold.runtime.sql_detector import SqlDetector
    from freehold.runtime.views import Views

R = TypeVar("R")


class Host:
    """A service as it runs in this process.

    Args:
        system: the system it belongs to.
        service: its declarations.
        engine: its own database.
        clock: where the time comes from.
        caller: carries its queries to other services; None: it can ask nobody.
        given: things to inject by type, besides what the service provides itself.
        identity: what this process is called in leases; a fresh name when empty.
        predecessor: what a process was called that is known to be dead: its leases are taken over at once.
    """

    def __init__(
        self,
        system: System,
        service: Service,
        engine: Engine,
        *,
        clock: Clock | None = None,
        caller: Caller[Asking] | None = None,
        given: Mapping[type[Any], Any] | None = None,
        identity: str = "",
        predecessor: str = "",
    ) -> None:
        from freehold.runtime.sagas import Sagas
        from freehold.runtime.views import Views

        self.system = system
        self.service = service
        self.engine = engine
        self.clock: Clock = clock or SystemClock()
        self.caller = caller
        self.identity = identity or f"{service.name}-{uuid4().hex[:12]}"
        self.predecessor = predecessor
        self.provided = Provided(service, {Clock: self.clock, **(given or {})})
        self.tables = FrameworkTables(engine.dialect, service.table_names)
        self.outbox = Outbox(self.tables)
        self.audit = BulkInsert(self.tables.audit, [column.name for column in self.tables.audit.columns])
        self.inserts = BulkInserts()
        self.inbox = Inbox(engine, self.tables)
        self.flags = Flags(self)
        known = IdempotencySettings in self.provided
        self.idempotency = Idempotency(self, self.provided.use(IdempotencySettings) if known else None)
        self.published: frozenset[type[Event]] = frozenset(service.publishes)
        self.plain_tables = _plain_tables(service)
        self.detector: SqlDetector | None = None
        self.sagas: Sagas = Sagas(self)
        self.views: Views = Views(self)
        self._asks = {*service.asks, *(query for view in service.views for query in (*view.snapshots, view.one))}
        self._coalescers: dict[str, Coalescer] = {}

    def work(self, context: Context = NOBODY) -> Work:
        """A unit of work on behalf of somebody."""
        return Work(self, self.detector.begin(context, self.service.name) if self.detector else context)

    async def create_tables(self) -> None:
        """Create the service's tables and the toolkit's own, where they are missing."""
        await self.engine.create(self.service.metadata)
        await self.engine.create(self.tables.metadata)

    async def ask(self, query: Query[R], asking: Asking) -> R:
        """Carry a query to the service that answers it."""
        if type(query) not in self._asks:
            raise ConfigurationError(
                f"service {self.service.name}",
                f"asks {type(query).__name__} without saying so",
                "Add it to Service(asks=[…])",
            )
        if self.caller is None:
            raise ConfigurationError(f"service {self.service.name}", "has nobody to ask", "Give its Host a caller")
        return await self.caller.ask(query, asking)

    def coalescer(self, declared: Coalescing) -> Coalescer:
        """The queue of a coalesced function; one for each process."""
        from freehold.runtime.coalesce import Coalescer

        found = self._coalescers.get(declared.name)
        if found is None:
            found = self._coalescers[declared.name] = Coalescer(self, declared)
        return found

    def tenant_scope(self, context: Context) -> TenantScope | None:
        """What rows are narrowed to in this context; None: all are visible."""
        column = self.system.tenant_column
        if column is None or context.tenant_id is None or self.service.tables is None:
            return None
        mappers = self.service.tables.registry.mappers
        tables = [mapper.class_ for mapper in mappers if column in mapper.columns]
        return TenantScope(column, context.tenant_id, tables)

    async def close(self) -> None:
        """Answer the coalesced calls that wait, then close what was provided, and the database."""
        for coalescer in self._coalescers.values():
            await coalescer.drain()
        await self.provided.close()
        await self.engine.close()


def _plain_tables(service: Service) -> frozenset[FromClause]:
    """The mapped tables whose attributes are named like their columns: there Core and ORM write the same."""
    mappers = service.tables.registry.mappers if service.tables is not None else ()
    return frozenset(
        mapper.local_table
        for mapper in mappers
        if mapper.inherits is None and all(mapper.get_property_by_column(c).key == c.key for c in mapper.columns)
    )
