"""Why a transaction runs: on whose behalf, caused by what, as part of which request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from freehold.model.access import User
from freehold.model.envelope import Envelope

if TYPE_CHECKING:
    from freehold.runtime.sql_detector import RequestWrites


@dataclass(frozen=True, slots=True)
class Context:
    """What a transaction inherits and hands on to the events it publishes and the calls it makes.

    Args:
        user: on whose behalf; None for events, jobs and the system itself.
        request_id: of the HTTP request; the correlation id of all that follows from it.
        cause: the event being handled.
        tenant_id: rows of other tenants are invisible; None: all are visible.
        traceparent: W3C trace context to continue.
        deadline: the moment, on the event loop's clock in seconds, at which the caller stops waiting.
        writes: where a detector notes whose databases the request writes.
    """

    user: User | None = None
    request_id: str | None = None
    cause: Envelope | None = None
    tenant_id: UUID | None = None
    traceparent: str | None = None
    deadline: float | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    writes: RequestWrites | None = field(default=None, compare=False, repr=False)

    def event_headers(self) -> dict[str, str]:
        """The CloudEvents extensions of an event published in this context."""
        cause = self.cause
        inherited: Mapping[str, str] = cause.headers if cause is not None else {}
        headers: dict[str, str] = {}
        correlation = inherited.get("correlationid") or self.request_id
        if correlation:
            headers["correlationid"] = correlation
        if cause is not None:
            headers["causationid"] = str(cause.event_id)
        tenant = inherited.get("tenantid") or (self.user and self.user.tenant_id)
        if tenant:
            headers["tenantid"] = str(tenant)
        trace = self.traceparent or inherited.get("traceparent")
        if trace:
            headers["traceparent"] = trace
        return headers


NOBODY = Context()


@dataclass(frozen=True, slots=True)
class Asking:
    """What travels with a typed call."""

    service: str
    context: Context
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def user(self) -> User | None:
        """On whose behalf the call is made."""
        return self.context.user

    @property
    def deadline(self) -> float | None:
        """When the first caller stops waiting."""
        return self.context.deadline
