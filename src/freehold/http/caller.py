"""Typed calls over the wire."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from freehold.http.access import SERVICE_TOKEN, TENANT, TIMEOUT
from freehold.http.breaker import Breaker
from freehold.http.queries import WROTE, write_query
from freehold.identity import ServiceTokens
from freehold.model.errors import ConfigurationError, Unavailable
from freehold.model.messages import Query
from freehold.model.problem import Problem
from freehold.model.system import System
from freehold.observe import tracing
from freehold.observe.metrics import METRICS
from freehold.runtime.calls import answerer, as_seen_from_outside, deadline, measured, or_fallback
from freehold.runtime.context import Asking

R = TypeVar("R")
TRIES = 3
FIRST_PAUSE = 0.05
_OUR_FAULT = ("MISSING_SERVICE_TOKEN", "INVALID_SERVICE_TOKEN")
_log = logging.getLogger("freehold.calls")


class _NeverSent(Unavailable):
    """No connection: whatever it was, the other side has not begun it."""


class _MayPass(Unavailable):
    """A failure that the next try may not meet, and of which nobody knows whether it had effects."""


class HttpCaller:
    """Carries queries to services elsewhere: HTTP/1.1 with keep-alive, deadline, retries with jitter, a breaker each.

    Args:
        system: knows who answers what.
        addresses: base URL of each service.
        tokens: issues the calling service's tokens.
        client: whose pool of connections is used; one of its own when None.
        breaker: makes the breaker of a service, by its name.
    """

    def __init__(
        self,
        system: System,
        addresses: Mapping[str, str],
        tokens: ServiceTokens,
        *,
        client: httpx.AsyncClient | None = None,
        breaker: Callable[[str], Breaker] = Breaker,
    ) -> None:
        self._system = system
        self._addresses = addresses
        self._tokens = tokens
        self._client = client or client_of_services()
        self._make_breaker = breaker
        self._breakers: dict[str, Breaker] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def breaker(self, service: str) -> Breaker:
        """The breaker of a service."""
        if service not in self._breakers:
            self._breakers[service] = self._make_breaker(service)
        return self._breakers[service]

    async def ask(self, query: Query[R], context: Asking) -> R:
        """The answer. Raises the Problem that the other service answered, or Unavailable when it cannot be had."""
        target = answerer(self._system, query)
        if target not in self._addresses:
            raise ConfigurationError(
                f"service {context.service}", f"asks {target}, whose address is unknown", "Configure its address"
            )
        return await or_fallback(self._system, query, context, lambda: self._measured(target, query, context))

    async def _measured(self, target: str, query: Query[R], asking: Asking) -> R:
        span = tracing.span(
            f"ask {type(query).__name__}", "client", parent=asking.context.traceparent, peer_service=target
        )
        try:
            with measured(query, asking), span:
                return await self._ask(target, query, asking)
        finally:
            METRICS.breaker(asking.service, target, self.breaker(target).state)

    async def _ask(self, target: str, query: Query[R], asking: Asking) -> R:
        until = deadline(query, asking)
        idempotent = query.__query__.idempotent
        for attempt in range(1, TRIES + 1):
            try:
                async with self.breaker(target).call():
                    return await self._try(target, query, asking, until)
            except (_NeverSent, _MayPass) as error:
                again = attempt < TRIES and (idempotent or isinstance(error, _NeverSent))
                pause = random.uniform(0.5, 1.5) * FIRST_PAUSE * 2 ** (attempt - 1)
                if not again or asyncio.get_running_loop().time() + pause >= until:
                    raise
                _log.info("%s: try %d of %s failed: %s", target, attempt, type(query).__name__, error)
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _try(self, target: str, query: Query[R], asking: Asking, until: float) -> R:
        name = type(query).__name__
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            raise Unavailable(f"{target} was not asked {name}: the time is over")
        try:
            async with asyncio.timeout_at(until):
                response = await self._client.send(self._request(target, query, asking, left))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _NeverSent(f"{target} cannot be reached") from error
        except TimeoutError as error:
            raise Unavailable(f"{target} did not answer {name} in time") from error
        except httpx.HTTPError as error:
            raise _MayPass(f"{target} broke off while answering {name}") from error
        if asking.context.writes is not None and (wrote := response.headers.get(WROTE)):
            asking.context.writes.add(*wrote.split(","))
        if response.is_success:
            return _answer(target, query, response)
        raise _failure(target, response)

    def _request(self, target: str, query: Query[Any], asking: Asking, left: float) -> httpx.Request:
        method, path, parameters, fields = write_query(query)
        target_path = self._system.gateway.path(path) + (f"?{urlencode(parameters)}" if parameters else "")
        extensions = asking.context.event_headers()
        headers = {
            "accept": "application/json",
            SERVICE_TOKEN: self._tokens.issue(target, asking.user),
            TIMEOUT: str(int(left * 1000)),
            **asking.headers,
        }
        if asking.context.tenant_id is not None:
            headers[TENANT] = str(asking.context.tenant_id)
        if "correlationid" in extensions:
            headers["X-Request-ID"] = extensions["correlationid"]
        trace = tracing.traceparent() or extensions.get("traceparent")
        if trace:
            headers["traceparent"] = trace
        if fields is not None:
            headers["content-type"] = "application/json"
        return httpx.Request(
            method,
            self._addresses[target].rstrip("/") + target_path,
            headers=headers,
            content=None if fields is None else to_json(fields),
            extensions={"timeout": httpx.Timeout(left).as_dict()},
        )


def client_of_services() -> httpx.AsyncClient:
    """A pool of connections to other services."""
    # Kept shorter than the other side keeps them, or a request meets a connection that is being closed.
    pool = httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=4)
    return httpx.AsyncClient(limits=pool, trust_env=False)


def _answer(target: str, query: Query[R], response: httpx.Response) -> R:
    try:
        return type(query).answer().validate_json(response.content)
    except ValidationError as error:
        raise Unavailable(f"{target} answered {type(query).__name__} with something else than it declares") from error


def _failure(target: str, response: httpx.Response) -> Exception:
    try:
        document = from_json(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "code" not in document:
        document = {"code": "ERROR"}
    problem = Problem.from_document(response.status_code, document)
    if problem.code in _OUR_FAULT:
        _log.error("%s does not accept our service token: %s", target, problem.detail)
        return Unavailable(f"{target} does not accept our service token")
    if response.status_code in (502, 503, 504):
        return _MayPass(f"{target} answered {response.status_code} {problem.code}")
    return as_seen_from_outside(problem, target)
