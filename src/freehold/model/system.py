"""A system: services, and the gateway in front of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from freehold.model.errors import DeclarationError
from freehold.model.messages import Command, Event, Message, Query
from freehold.model.service import Service


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket per client address, and where `users` says so one per user instead.

    Args:
        path: prefix without the gateway's own, e.g. `/auth`; the longest that fits decides.
        per_second: tokens that come back each second.
        burst: tokens at most.
        methods: which methods it counts; empty: all.
        suffix: counts only paths that end so.
        users: requests a minute of whoever shows a valid access token, by role; the most generous of their roles
            decides, and `*` is everybody's. Empty: they count by address like others.
    """

    path: str
    per_second: float
    burst: int
    methods: tuple[str, ...] = ()
    suffix: str = ""
    users: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueuePass:
    """What requests must show at the gateway while queue mode is on: a service's token for those whose turn it is.

    The service signs it with its own `KeyRing` (`TokenIssuer(ring, issuer=ITS_NAME, audience=PURPOSE)`), so that the
    gateway believes it without a call. That it is used once is for the service to see to.

    Args:
        paths: prefixes without the gateway's own, e.g. `/bookings`.
        issuer: the service that gives passes.
        methods: which methods need one.
        header: where a client shows it.
        purpose: the token's `aud`, and its claim `purpose`.
    """

    paths: tuple[str, ...]
    issuer: str
    methods: tuple[str, ...] = ("POST", "PUT")
    header: str = "X-Queue-Pass"
    purpose: str = "queue_pass"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The one public entrance: routing, rate limits, request ids, problem details. It owns no data.

    Args:
        prefix: of every public path.
        aliases: other prefixes that lead to the same routes, e.g. `/api` beside `/api/v1`.
        rate_limits: none by default.
        rate_limit_code: the code of the 429 problem.
        timeout: seconds a service may take to answer.
        timeouts: other timeouts by path prefix.
        queue: what needs a pass while a deployment's `queue_mode` is on.
    """

    prefix: str = "/api/v1"
    aliases: Sequence[str] = ()
    rate_limits: Sequence[RateLimit] = ()
    rate_limit_code: str = "TOO_MANY_REQUESTS"
    timeout: float = 30.0
    timeouts: dict[str, float] = field(default_factory=dict)
    queue: QueuePass | None = None

    def path(self, declared: str) -> str:
        """Where a declared path is served: below the prefix, unless it starts with `/internal` or `/.well-known`."""
        return declared if declared.startswith(("/internal/", "/.well-known/")) else self.prefix + declared

    def unaliased(self, asked: str) -> str:
        """The path below the prefix that an asked one stands for; the same where no alias leads to it."""
        if not asked.startswith(f"{self.prefix}/"):
            for alias in self.aliases:
                if asked.startswith(f"{alias}/"):
                    return self.prefix + asked.removeprefix(alias)
        return asked


@dataclass
class System:
    """Services that work together.

        system = System("shop", services=[auth, products, orders, payments], gateway=Gateway(prefix="/api/v1"))

    What spans services (a table owned twice, an event nobody publishes, a call in a circle) is left to `freehold
    check`, so that a broken system can be described and all its faults told at once.

    Args:
        name: as `freehold run NAME` says it.
        services: all of them.
        gateway: the public entrance.
        auth: name of the service that issues access tokens; None when no route needs a user.
        access_token_seconds: how long an access token lives.
        tenant_column: the column that scopes rows to the caller's tenant; None without tenants.
        tenant_free_roles: roles that see every tenant's rows.
        invalid_status: the status for a request that does not fit its model.
        data_sets: `module:function` that loads demo and load data, for `freehold load` and the first `freehold run`:
            `async def (works: Mapping[str, Work], which: str, progress: Callable[[str, int, int], None]) -> None`,
            idempotent.
        load_shapes: `module:NAME` of the `LoadShapes` that `freehold load-test` runs.
        title, version: for the documents.
    """

    name: str
    services: Sequence[Service]
    gateway: Gateway = field(default_factory=Gateway)
    auth: str | None = None
    access_token_seconds: int = 900
    tenant_column: str | None = None
    tenant_free_roles: tuple[str, ...] = ()
    invalid_status: int = 422
    data_sets: str = ""
    load_shapes: str = ""
    title: str = ""
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        names = [service.name for service in self.services]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"system {self.name}", f"has two services named {name!r}", "Rename one")
        if self.auth is not None and self.auth not in names:
            raise DeclarationError(
                f"system {self.name}", f"auth={self.auth!r} is none of its services", f"Use one of: {names}"
            )
        if self.gateway.queue is not None and self.gateway.queue.issuer not in names:
            raise DeclarationError(
                f"system {self.name}", f"queue passes come from {self.gateway.queue.issuer!r}, which is none of its "
                "services", f"Use one of: {names}",
            )  # fmt: skip

    def service(self, name: str) -> Service:
        """The service of this name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(f"{self.name} has no service {name!r}; it has {', '.join(s.name for s in self.services)}")

    def events(self) -> dict[str, type[Event]]:
        """Every published event by name."""
        return {event.__message__.name: event for service in self.services for event in service.publishes}

    def messages(self) -> dict[str, type[Message]]:
        """Every event and command that can travel, by name."""
        handled = {m.__message__.name: m for service in self.services for m in service.consumes()}
        return handled | dict(self.events())

    def answerer(self, query: type[Query[Any]]) -> Service | None:
        """The service that answers this query."""
        return next((service for service in self.services if query in service.answered), None)

    def handler_of(self, command: type[Command]) -> Service | None:
        """The service that carries this command out."""
        return next((s for s in self.services for handler in s.handlers if command in handler.messages), None)

    def sagas(self) -> Iterator[tuple[Service, Any]]:
        """Each saga with the service that orchestrates it."""
        return ((service, saga) for service in self.services for saga in service.sagas)
