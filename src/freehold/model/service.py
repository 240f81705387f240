"""A service: the tables it owns, the events it publishes, and everything it does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

from pydantic import BaseModel
from sqlalchemy import MetaData

from freehold.model.access import Access, internal
from freehold.model.derived import Derived
from freehold.model.errors import DeclarationError
from freehold.model.flags import Flag
from freehold.model.messages import NAME, Command, Event, Message, Query
from freehold.model.routes import Idempotency, Method, Resource, Route
from freehold.model.saga import Saga, duration
from freehold.model.view import View

F = TypeVar("F", bound=Callable[..., Any])
V = TypeVar("V", View, Derived)
FRAMEWORK_TABLES = (
    "outbox_events", "delayed_events", "consumed_events", "parked_events", "dead_letters", "leases", "scheduled_jobs",
    "idempotency_records", "saga_instances", "saga_transitions", "view_states", "feature_flags", "audit_logs",
    "schema_versions",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retry:
    """How a failing event is tried again: `times` tries, waiting `first` seconds, doubled each time up to `longest`."""

    times: int = 5
    first: float = 1.0
    longest: float = 300.0


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that takes events or commands, under a stable name that the inbox remembers it by."""

    name: str
    messages: tuple[type[Message], ...]
    function: Callable[..., Any]
    batch: int | None = None
    retry: Retry = Retry()
    on_dead: Literal["proceed", "hold"] = "proceed"


@dataclass(frozen=True, slots=True)
class Job:
    """A function that one process runs at an interval; missed runs collapse into one."""

    name: str
    function: Callable[..., Any]
    every: timedelta


@dataclass(frozen=True, slots=True)
class Answer:
    """A function that answers a query."""

    query: type[Query[Any]]
    function: Callable[..., Any]
    access: Access
    writes: bool


@dataclass(frozen=True, slots=True)
class Coalescing:
    """Concurrent calls with one key become one transaction that decides them in order."""

    name: str
    function: Callable[..., Any]
    key: Callable[[Any], Any]
    max_batch: int
    max_wait: float


@dataclass
class Service:
    """One service of a system.

        orders = Service("orders", tables=Base, publishes=[OrderPlaced, OrderPaid], asks=[GetProduct])

    Args:
        name: lower-case word, unique in its system.
        tables: the declarative base of the tables that it owns; None for a service without data.
        database: the database's name in the `databases` layout; `{name}_db` when empty.
        publishes: the events that it, and only it, may publish.
        asks: the queries of other services that it may ask.
        settings: pydantic models of its settings; deployment fills them, `tx.use(Model)` gives them.
        flags: its feature flags, which are set while it runs; `await tx.flag(name)` asks for one.
        table_names: other names for the toolkit's own tables, e.g. `{"outbox_events": "outbox"}`.
        description: one sentence for the catalogue.
    """

    name: str
    tables: type[Any] | None = None
    database: str = ""
    publishes: Sequence[type[Event]] = ()
    asks: Sequence[type[Query[Any]]] = ()
    settings: Sequence[type[BaseModel]] = ()
    flags: Sequence[Flag] = ()
    table_names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    version: str = "1"

    routes: list[Route] = field(default_factory=list, init=False)
    resources: list[Resource] = field(default_factory=list, init=False)
    handlers: list[Handler] = field(default_factory=list, init=False)
    answered: dict[type[Query[Any]], Answer] = field(default_factory=dict, init=False)
    jobs: list[Job] = field(default_factory=list, init=False)
    sagas: list[Saga] = field(default_factory=list, init=False)
    views: list[View] = field(default_factory=list, init=False)
    derived: list[Derived] = field(default_factory=list, init=False)
    coalescings: list[Coalescing] = field(default_factory=list, init=False)
    provided: dict[type[Any], Callable[..., Any]] = field(default_factory=dict, init=False)
    fallbacks: dict[type[Query[Any]], Callable[..., Any]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or "." in self.name or "-" in self.name:
            raise DeclarationError(
                f"service {self.name!r}", "its name is not a lower-case word", "Call it like 'orders'"
            )
        unknown = set(self.table_names) - set(FRAMEWORK_TABLES)
        if unknown:
            raise DeclarationError(
                f"service {self.name}",
                f"table_names has {sorted(unknown)}",
                f"Name some of: {', '.join(FRAMEWORK_TABLES)}",
            )
        names = [flag.name for flag in self.flags]
        if twice := {name for name in names if names.count(name) > 1}:
            raise DeclarationError(f"service {self.name}", f"declares the flag {min(twice)!r} twice", "Keep one")
        self.database = self.database or f"{self.name}_db"

    @property
    def metadata(self) -> MetaData:
        """The tables that it owns, without the toolkit's own."""
        return self.tables.metadata if self.tables is not None else MetaData()

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def route(
        self,
        method: Method,
        path: str,
        *,
        access: Access | None = None,
        status_code: int = 200,
        idempotency: Idempotency | None = None,
        lean: bool = False,
        writes: bool | None = None,
        max_body: int = 1024 * 1024,
        errors: Sequence[int] = (),
        invalid: str | Mapping[str, str] | None = None,
        **options: Any,
    ) -> Callable[[F], F]:
        """Answer `method path` with the function.

        Args:
            path: without the gateway's prefix, e.g. `/orders/{id}`.
            access: who may call it; a route without is a check error and refuses everybody.
            status_code: of the success.
            idempotency: `required`, `optional` (the default of POST) or `none`: whether an Idempotency-Key is heeded.
            lean: a plain route for hot paths: body, caller, path parameters and headers only.
            writes: False opens a read-only transaction (the default of GET).
            max_body: bytes; larger bodies are answered 413.
            errors: further statuses to document.
            invalid: the code of the problem for an invalid request (`VALIDATION_ERROR`, or `MALFORMED_JSON`); or
                codes by field, `*` for all others.
            options: handed to FastAPI (`summary`, `tags`, `deprecated` …).
        """
        if not path.startswith("/"):
            raise DeclarationError(
                f"{self.name} {method} {path}", "its path does not start with '/'", f"Write '/{path}'"
            )

        def register(function: F) -> F:
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=_coroutine(function, f"{self.name} {method} {path}"),
                    access=access,
                    status_code=status_code,
                    idempotency=idempotency or ("optional" if method == "POST" else "none"),
                    lean=lean,
                    writes=method != "GET" if writes is None else writes,
                    max_body=max_body,
                    errors=tuple(errors),
                    invalid={"*": invalid} if isinstance(invalid, str) else dict(invalid or {}),
                    options=options,
                )
            )
            return function

        return register

    def get(self, path: str, **kwargs: Any) -> Callable[[F], F]:
        """`route("GET", …)`."""
        return self.route("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Callable[[F], F]:
        """`route("POST", …)`."""
        return self.route("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Callable[[F], F]:
        """`route("PUT", …)`."""
        return self.route("PUT", path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> Callable[[F], F]:
        """`route("PATCH", …)`."""
        return self.route("PATCH", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Callable[[F], F]:
        """`route("DELETE", …)`."""
        return self.route("DELETE", path, **kwargs)

    def resource(self, table: type[Any], path: str, **kwargs: Any) -> Resource:
        """Plain list, get, create, update and delete of a table; see `Resource`."""
        resource = Resource(table, path, **kwargs)
        self.resources.append(resource)
        return resource

    # --- messages -----------------------------------------------------------------------------------------------------

    def on(
        self,
        *events: type[Event],
        name: str = "",
        batch: int | None = None,
        retry: Retry = Retry(),
        on_dead: Literal["proceed", "hold"] = "proceed",
    ) -> Callable[[F], F]:
        """Handle these events, each exactly once: `async def (event, tx)`, or `(events, tx)` with `batch`.

        Args:
            name: what the inbox remembers the handler by, the function's name when empty. Renaming it handles old
                events anew.
            batch: up to so many events share a transaction.
            retry: how often and how soon a failing event is tried again before it is dead.
            on_dead: whether later events of a dead event's key `proceed` or are held until it is replayed or discarded.
        """
        return self._handle(events, name, batch, retry, on_dead)

    def handles(self, command: type[Command], *, name: str = "", retry: Retry = Retry()) -> Callable[[F], F]:
        """Carry out this command, exactly once: `async def (command, tx)`. A command has one handler in a system."""
        return self._handle((command,), name, None, retry, "proceed")

    def _handle(
        self,
        messages: tuple[type[Message], ...],
        name: str,
        batch: int | None,
        retry: Retry,
        on_dead: Literal["proceed", "hold"],
    ) -> Callable[[F], F]:
        def register(function: F) -> F:
            chosen = name or function.__name__
            where = f"{self.name}.{chosen}"
            if not messages:
                raise DeclarationError(where, "handles nothing", "Name at least one event")
            if any(handler.name == chosen for handler in self.handlers):
                raise DeclarationError(where, "another handler has the same name", "Give name=…, stable for ever")
            self.handlers.append(Handler(chosen, messages, _coroutine(function, where), batch, retry, on_dead))
            return function

        return register

    def answers(
        self, query: type[Query[Any]], *, access: Access = internal, writes: bool | None = None
    ) -> Callable[[F], F]:
        """Answer this query: `async def (query, tx) -> answer`. In-process callers and HTTP reach the same function."""

        def register(function: F) -> F:
            where = f"{self.name}.{function.__name__}"
            if query in self.answered:
                raise DeclarationError(where, f"{query.__name__} is answered already", "A query has one answer")
            may_write = query.__query__.method != "GET" if writes is None else writes
            self.answered[query] = Answer(query, _coroutine(function, where), access, may_write)
            return function

        return register

    def fallback(self, query: type[Query[Any]]) -> Callable[[F], F]:
        """What this service makes do with when the query cannot be answered now: `async def (query) -> answer`."""

        def register(function: F) -> F:
            where = f"{self.name}.{function.__name__}"
            if query not in self.asks:
                raise DeclarationError(
                    where, f"{self.name} does not ask {query.__name__}", "Add it to Service(asks=[…])"
                )
            self.fallbacks[query] = _coroutine(function, where)
            return function

        return register

    # --- time, contention, flows, copies ------------------------------------------------------------------------------

    def every(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0, name: str = "") -> Callable[[F], F]:
        """Run at this interval, in one process at a time: `async def (tx)`, or `(work)` to make its own
        transactions.
        """

        def register(function: F) -> F:
            chosen = name or function.__name__
            interval = timedelta(hours=hours, minutes=minutes, seconds=seconds)
            where = f"{self.name} job {chosen}"
            if interval <= timedelta():
                raise DeclarationError(where, "its interval is zero", "Give hours=, minutes= or seconds=")
            if any(job.name == chosen for job in self.jobs):
                raise DeclarationError(where, "another job has the same name", "Give name=…")
            self.jobs.append(Job(chosen, _coroutine(function, where), interval))
            return function

        return register

    def coalesced(
        self, *, key: Callable[[Any], Any], max_batch: int = 200, max_wait: str | float = 0
    ) -> Callable[[Callable[..., Any]], Coalescing]:
        """Decide concurrent calls on one hot row together: `async def (calls, tx) -> answers`, one answer per call.

        Call it through `tx`-less code as `await work.call(reserve, call)`. An answer that is an exception is raised
        to its caller alone. When the whole batch raises, it is split and tried again, so that a call fails alone.

        Args:
            key: from a call to what it contends for.
            max_batch: calls in a transaction at most.
            max_wait: how long the first call of a batch waits for others, like `"2ms"`; 0 never waits: calls gather
                while the batch before theirs commits.
        """

        def register(function: Callable[..., Any]) -> Coalescing:
            where = f"{self.name}.{function.__name__}"
            declared = Coalescing(
                function.__name__,
                _coroutine(function, where),
                key,
                max_batch,
                duration(max_wait).total_seconds(),
            )
            self.coalescings.append(declared)
            return declared

        return register

    def saga(self, saga: Saga) -> Saga:
        """This service orchestrates the saga and keeps its state."""
        if any(other.name == saga.name for other in self.sagas):
            raise DeclarationError(f"saga {saga.name}", f"{self.name} has it already", "Give it another name")
        self.sagas.append(saga)
        return saga

    def view(self, view: V) -> V:
        """This service keeps the view, or computes it from its others."""
        self.derived.append(view) if isinstance(view, Derived) else self.views.append(view)
        return view

    def every_view(self) -> list[View | Derived]:
        """Those kept from events, then those computed from them."""
        return [*self.views, *self.derived]

    def provide(self, function: F) -> F:
        """Make something that handlers get by its type, once per process: settings and a Clock come in by type.

        @payments.provide
        def gateway(settings: PaymentSettings) -> PaymentGateway: ...
        """
        made = inspect.get_annotations(function, eval_str=True).get("return")
        if not isinstance(made, type):
            raise DeclarationError(
                f"{self.name}.{function.__name__}", "does not say what it makes", "Annotate its return type"
            )
        self.provided[made] = function
        return function

    def consumes(self) -> list[type[Message]]:
        """Every event and command that reaches it, by handler, saga or view, each once."""
        found: dict[type[Message], None] = {}
        for handler in self.handlers:
            found |= dict.fromkeys(handler.messages)
        for saga in self.sagas:
            found |= dict.fromkeys(saga.listens_to())
        for view in self.views:
            found |= dict.fromkeys(view.sources)
        return list(found)


def _coroutine(function: F, where: str) -> F:
    if not inspect.iscoroutinefunction(function):
        raise DeclarationError(where, f"{function.__name__} is not a coroutine function", "Declare it with 'async def'")
    return function
