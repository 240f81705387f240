"""The one public entrance: finds the service that a request is for, and lets nothing else through."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.http.app import request_id_of
from freehold.http.documents import DOCS_PAGE, Document, merged
from freehold.http.health import Draining
from freehold.http.limits import check_length
from freehold.http.matching import RouteTable, below
from freehold.http.objects import METHODS, ROUTE, SignedObjects
from freehold.http.problems import Translator, problem_response
from freehold.http.proxy import Backend, LocalBackend, RemoteBackend
from freehold.http.queue_mode import QueueMode
from freehold.http.rate_limiting import RateLimiter
from freehold.identity import TokenVerifier
from freehold.model.errors import ConfigurationError
from freehold.model.problem import Problem
from freehold.model.routes import MEBIBYTE
from freehold.model.service import Service
from freehold.model.system import System
from freehold.observe.metrics import CONTENT_TYPE, METRICS
from freehold.stores.objects import Objects
from freehold.stores.objects.folder import FolderObjects
from freehold.stores.rate_limits import MemoryRateLimits, RateLimits

JWKS = "/.well-known/jwks.json"
_IDENTITY = (b"x-user-", b"x-tenant-", b"x-service-token", b"x-timeout-ms", b"x-request-id")
_KEPT = b"x-tenant-id"
"""Only narrows what a caller may see anyway."""
_log = logging.getLogger("freehold.http")


@dataclass(frozen=True, slots=True)
class Forwarding:
    """A public route: the service it goes to and what it may take."""

    service: str
    path: str
    max_body: int
    timeout: float


Own = Callable[[], Awaitable[Response]]


class GatewayApp:
    """An ASGI app that owns no data: routing, rate limits, request ids, problem details, one OpenAPI document.

    Attributes:
        draining: call `draining.begin()` when the process is told to stop.
    """

    def __init__(
        self,
        system: System,
        backends: Mapping[str, ASGIApp | str],
        *,
        limiter: RateLimiter | None,
        queue: QueueMode | None,
        signed_objects: SignedObjects | None,
        draining: Draining,
    ) -> None:
        self._system = system
        self.draining = draining
        self._limiter = limiter
        self._queue = queue
        self._translator = Translator(system.invalid_status, None, "gateway")
        # Every event stream holds a connection while it lasts: there are as many as clients have opened here.
        pool = httpx.Limits(max_connections=None, max_keepalive_connections=200, keepalive_expiry=4)
        self._client = httpx.AsyncClient(limits=pool, follow_redirects=False, trust_env=False)
        self._targets = dict(backends)
        self._backends: dict[str, Backend] = {
            name: RemoteBackend(name, target, self._client) if isinstance(target, str) else LocalBackend(target)
            for name, target in backends.items()
        }
        self._table: RouteTable[Forwarding | SignedObjects | Own] = RouteTable()
        self._public: set[tuple[str, str]] = set()
        self._document: Document | None = None
        self._mount_own()
        if signed_objects is not None:
            for method in METHODS:
                self._table.add(method, ROUTE, signed_objects)
        for service in system.services:
            self._mount(service)

    async def aclose(self) -> None:
        """Close the connections to the services."""
        await self._client.aclose()

    # --- what is mounted ----------------------------------------------------------------------------------------------

    def _mount_own(self) -> None:
        async def status() -> Response:
            return JSONResponse({"status": "ok", "version": self._system.version, "service": "gateway"})

        async def live() -> Response:
            return JSONResponse({"status": "ok"})

        async def numbers() -> Response:
            return Response(METRICS.render(), media_type=CONTENT_TYPE)

        async def docs() -> Response:
            return HTMLResponse(DOCS_PAGE)

        async def document() -> Response:
            return JSONResponse(await self.openapi())

        own: dict[str, Own] = {
            "/health": live,
            "/health/live": live,
            "/ready": self._ready,
            "/health/ready": self._ready,
            "/metrics": numbers,
            "/docs": docs,
            "/openapi.json": document,
            f"{self._system.gateway.prefix}/status": status,
        }
        for path, answer in own.items():
            self._table.add("GET", path, answer)
        if self._system.auth is not None:
            self._table.add("GET", JWKS, Forwarding(self._system.auth, JWKS, 0, self._timeout(JWKS)))

    def _mount(self, service: Service) -> None:
        gateway = self._system.gateway
        for method, declared, max_body in public_routes(service):
            path = gateway.path(declared)
            self._public.add((method, path))
            self._table.add(method, path, Forwarding(service.name, path, max_body, self._timeout(declared)))

    def _timeout(self, declared: str) -> float:
        fitting = [prefix for prefix in self._system.gateway.timeouts if below(declared, prefix)]
        return self._system.gateway.timeouts[max(fitting, key=len)] if fitting else self._system.gateway.timeout

    # --- a request ----------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self.aclose)
            return
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        outgoing = _Outgoing(send, request_id_of(headers))
        scope = self._unaliased(scope)
        path, method = scope["path"], scope["method"]
        template: str | None = None
        try:
            await self._let_in(scope, headers, outgoing)
            found, _ = self._table.find(method, path)
            if isinstance(found, Forwarding):
                template = found.path
                await self._forward(found, headers, scope, receive, outgoing)
            elif isinstance(found, SignedObjects):
                template = ROUTE
                await found(scope, receive, outgoing)
            else:
                template = path
                await (await found())(scope, receive, outgoing)
        except ClientDisconnect:
            return
        except Exception as error:
            if outgoing.status:
                raise
            response = problem_response(self._translator.problem(error, {}, outgoing.request_id))
            await response(scope, receive, outgoing)
        METRICS.requested("gateway", method, template, outgoing.status, time.perf_counter() - began)

    def _unaliased(self, scope: Scope) -> Scope:
        path = self._system.gateway.unaliased(scope["path"])
        if path == scope["path"]:
            return scope
        raw = self._system.gateway.unaliased(scope.get("raw_path", scope["path"].encode()).decode("latin-1"))
        return {**scope, "path": path, "raw_path": raw.encode("latin-1")}

    async def _let_in(self, scope: Scope, headers: Mapping[bytes, bytes], outgoing: _Outgoing) -> None:
        """Raises the 429 or 503 problem. Who shows a queue pass was let through in its turn, and is not slowed down."""
        declared = scope["path"].removeprefix(self._system.gateway.prefix)
        guarded = self._queue is not None and self._queue.guards(scope["method"], declared)
        if guarded and self._queue is not None and await self._queue.accepts(headers):
            outgoing.added.append((b"x-ratelimit-bypass", b"queue-pass"))
            return
        if self._limiter is not None:
            await self._limiter.take(scope, headers, declared, outgoing.added)
        if guarded:
            raise Problem(
                503, "QUEUE_REQUIRED", "Join the queue, and come back with your pass", headers={"Retry-After": "5"}
            )

    async def _forward(
        self, found: Forwarding, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive, outgoing: _Outgoing
    ) -> None:
        check_length(headers, found.max_body)
        backend = self._backends.get(found.service)
        if backend is None:
            raise Problem(502, "BAD_GATEWAY", "The service cannot be reached")
        passed = [(name, value) for name, value in scope["headers"] if not name.startswith(_IDENTITY) or name == _KEPT]
        passed.append((b"x-request-id", outgoing.request_id.encode("ascii")))
        onward = {**scope, "headers": passed}
        await backend.forward(onward, receive, outgoing, timeout=found.timeout, max_body=found.max_body)

    # --- about the services -------------------------------------------------------------------------------------------

    async def openapi(self) -> Document:
        """The OpenAPI document of everything that is public; of the services that answer now."""
        if self._document is not None:
            return self._document
        documents: dict[str, Document] = {}
        for service in self._backends:
            with suppress(httpx.HTTPError, json.JSONDecodeError):
                documents[service] = (await self._get(service, "/openapi.json")).json()
        document = merged(self._system, documents, self._public)
        if len(documents) == len(self._backends):
            self._document = document
        return document

    async def _ready(self) -> Response:
        missing: dict[str, str] = {}
        for service in self._backends:
            try:
                answer = await self._get(service, "/health/ready")
                if answer.status_code != 200:
                    missing[service] = f"is not ready: {', '.join(answer.json().get('missing', {}))}"
            except (httpx.HTTPError, json.JSONDecodeError):
                missing[service] = "does not answer"
        if self.draining.begun:
            missing["process"] = "is shutting down"
        if missing:
            return JSONResponse({"status": "unavailable", "missing": missing}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ok", "checks": dict.fromkeys(self._backends, "ok")})

    async def _get(self, service: str, path: str) -> httpx.Response:
        target = self._targets[service]
        if isinstance(target, str):
            return await self._client.get(target.rstrip("/") + path, timeout=5)
        transport = httpx.ASGITransport(target)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get(path)


class _Outgoing:
    """The way back: request id and rate limit go onto every answer."""

    __slots__ = ("_send", "added", "request_id", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.added = [(b"x-request-id", request_id.encode("ascii"))]
        self.request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            kept = [header for header in message.get("headers", ()) if header[0] != b"x-request-id"]
            message = {**message, "headers": [*kept, *self.added]}
        await self._send(message)


def gateway_app(
    system: System,
    backends: Mapping[str, ASGIApp | str],
    *,
    rate_limits: RateLimits | None = None,
    limited: bool = True,
    verifier: TokenVerifier | None = None,
    queue_passes: TokenVerifier | None = None,
    objects: Objects | None = None,
    draining: Draining | None = None,
) -> GatewayApp:
    """The gateway in front of a system's services.

    Args:
        system: its declared public routes are let through; internal ones and unknown paths are 404.
        backends: by service, an ASGI app in this process or a base URL.
        rate_limits: where the token buckets are; in memory when None.
        limited: False lets everybody do everything as often as they like, for load tests.
        verifier: verifies access tokens, for rate limits by user; without it all count by address.
        queue_passes: turns queue mode on: verifies the passes of the system's `Gateway(queue=…)`.
        objects: the system's; the presigned URLs of those in a folder are answered here.
        draining: shared with whoever learns first that the process is to stop.

    Raises:
        ConfigurationError: `queue_passes` for a system that declares no queue.
    """
    limiter, queue = None, None
    if limited:
        declared = system.gateway
        limiter = RateLimiter(
            declared.rate_limits, declared.rate_limit_code, rate_limits or MemoryRateLimits(), verifier
        )
    if queue_passes is not None:
        if system.gateway.queue is None:
            raise ConfigurationError("queue_mode", f"{system.name} has no queue", "Declare Gateway(queue=QueuePass(…))")
        queue = QueueMode(system.gateway.queue, queue_passes)
    return GatewayApp(
        system,
        backends,
        limiter=limiter,
        queue=queue,
        signed_objects=SignedObjects(objects) if isinstance(objects, FolderObjects) else None,
        draining=draining or Draining(),
    )


def public_routes(service: Service) -> list[tuple[str, str, int]]:
    """(method, declared path, largest body) of every route that passes the gateway."""
    routes: list[tuple[str, str, int]] = [
        (route.method, route.path, route.max_body)
        for route in service.routes
        if route.access is not None and not route.internal
    ]
    for resource in service.resources:
        routes += [
            (method, path, MEBIBYTE) for _, method, path, access in resource.operations() if access.kind != "internal"
        ]
    routes += [
        (query.__query__.method, query.__query__.route, MEBIBYTE)
        for query, answer in service.answered.items()
        if answer.access.kind != "internal"
    ]
    return routes


async def _lifespan(receive: Receive, send: Send, close: Callable[[], Awaitable[None]]) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await close()
    await send({"type": "lifespan.shutdown.complete"})
