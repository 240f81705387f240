"""A service's HTTP app: its declared routes behind one front that lets requests in or turns them away."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from freehold.http.access import Doorkeeper
from freehold.http.action import Action
from freehold.http.binding import OrdinaryRoute, add_route
from freehold.http.call import Call
from freehold.http.event_stream import DRAINING
from freehold.http.health import Check, Draining, readiness
from freehold.http.json_bodies import check_json, reads_json
from freehold.http.lean import LeanRoute
from freehold.http.limits import check_length, read_body, replay
from freehold.http.matching import RouteTable
from freehold.http.openapi import service_document
from freehold.http.problems import Translator, problem_response
from freehold.http.queries import QueryRoute
from freehold.http.resource import service_routes
from freehold.identity import KeyRing, ServiceTokenVerifier, TokenVerifier
from freehold.model.access import Access, public
from freehold.model.ports import Bus
from freehold.model.problem import Problem
from freehold.model.routes import MEBIBYTE, Idempotency, Route
from freehold.observe import tracing
from freehold.observe.metrics import CONTENT_TYPE, METRICS
from freehold.runtime.calls import Answering
from freehold.runtime.host import Host

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,100}")
_BODILESS = ("GET", "HEAD")
_log = logging.getLogger("freehold.http")

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Mounted:
    """A route as the front sees it.

    Args:
        template: its path, for metrics.
        access, max_body, idempotency, codes: of the declaration.
        answer: answers without FastAPI; None leaves it to FastAPI.
        reads_json: its body is JSON, and checked before anybody reads it.
        open: no token is looked at.
    """

    template: str
    access: Access | None
    answer: Callable[[Call], Awaitable[Response]] | None = None
    max_body: int = MEBIBYTE
    idempotency: Idempotency = "none"
    codes: Mapping[str, str] = field(default_factory=dict)
    reads_json: bool = False
    open: bool = False


class ServiceApp:
    """An ASGI app: finds the route, checks access and size, and only then lets a handler see the request.

    Attributes:
        draining: call `draining.begin()` when the process is told to stop.
    """

    def __init__(
        self,
        host: Host,
        *,
        verifier: TokenVerifier | None,
        service_verifier: ServiceTokenVerifier | None,
        key_ring: KeyRing | None,
        checks: Mapping[str, Check],
        draining: Draining,
        lifespan: Lifespan | None,
    ) -> None:
        self._host = host
        self._name = host.service.name
        self.draining = draining
        self._checks = {"database": host.engine.ping, **checks}
        self._key_ring = key_ring
        self._doorkeeper = Doorkeeper(host.system, verifier, service_verifier)
        self._translator = Translator(host.system.invalid_status, host.engine, self._name)
        self._fastapi = self._make_fastapi(lifespan)
        self._table: RouteTable[Mounted] = RouteTable()
        self._ordinary: list[OrdinaryRoute] = []
        self._mount_declared()
        self._mount_own()
        self._document: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """The service's OpenAPI document."""
        if self._document is None:
            self._document = service_document(self._fastapi, self._host.service, self._host.system)
        return self._document

    # --- what is mounted ----------------------------------------------------------------------------------------------

    def _make_fastapi(self, lifespan: Lifespan | None) -> FastAPI:
        app = FastAPI(
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=None if lifespan is None else lambda _: lifespan(),
        )
        app.add_exception_handler(RequestValidationError, self._on_refusal)
        app.add_exception_handler(HTTPException, self._on_refusal)
        app.add_exception_handler(Exception, self._on_error)
        return app

    def _mount_declared(self) -> None:
        service, gateway = self._host.service, self._host.system.gateway
        for route in service_routes(service, self._host.system):
            self._mount(route, gateway.path(route.path))
        answering = Answering(self._host)
        for query, answer in service.answered.items():
            path = gateway.path(query.__query__.route)
            responder = QueryRoute(query, answering, self._translator).answer
            self._table.add(query.__query__.method, path, Mounted(path, answer.access, responder))

    def _mount(self, route: Route, path: str) -> None:
        where = f"{self._name} {route.method} {route.path}"
        action = Action(route, self._host, where)
        # A lean route is given to FastAPI too, only for the document: the front answers before FastAPI is asked.
        self._ordinary.append(
            add_route(self._fastapi, path, route, action=action, translator=self._translator, system=self._host.system)
        )
        answer = LeanRoute(route, action, self._translator, where).answer if route.lean else None
        json = reads_json(self._fastapi.routes[-1])
        mounted = Mounted(path, route.access, answer, route.max_body, route.idempotency, route.invalid, json)
        self._table.add(route.method, path, mounted)

    def _mount_own(self) -> None:
        status = {"status": "ok", "version": self._host.service.version, "service": self._name}

        async def live(_: Call) -> Response:
            return JSONResponse({"status": "ok"})

        async def ready(_: Call) -> Response:
            return await readiness(self._checks, self.draining)

        async def numbers(_: Call) -> Response:
            return Response(METRICS.render(), media_type=CONTENT_TYPE)

        async def tell_status(_: Call) -> Response:
            return JSONResponse(status)

        async def document(_: Call) -> Response:
            return JSONResponse(self.openapi())

        own: dict[str, Callable[[Call], Awaitable[Response]]] = {
            "/health": live,
            "/health/live": live,
            "/ready": ready,
            "/health/ready": ready,
            "/metrics": numbers,
            "/openapi.json": document,
            f"{self._host.system.gateway.prefix}/status": tell_status,
        }
        if self._key_ring is not None:
            own["/.well-known/jwks.json"] = _showing(self._key_ring)
        for path, answer in own.items():
            self._table.add("GET", path, Mounted(path, public, answer, open=True))

    # --- a request ----------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._fastapi(scope, receive, send)
            return
        began = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        outgoing = Outgoing(send, request_id_of(headers))
        template: str | None = None
        codes: Mapping[str, str] = {}
        try:
            mounted, params = self._table.find(scope["method"], scope["path"])
            template, codes = mounted.template, mounted.codes
            parent = headers.get(b"traceparent", b"").decode("latin-1") or None
            with tracing.span(f"{scope['method']} {template}", "server", parent=parent, service_name=self._name):
                call = await self._admit(mounted, params, headers, scope, receive, request_id=outgoing.request_id)
                await self._answer(mounted, call, scope, receive, outgoing)
        except ClientDisconnect:
            return
        except Exception as error:
            if outgoing.status:
                _log.error("request %s failed while it was answered", outgoing.request_id, exc_info=error)
                raise
            response = problem_response(self._translator.problem(error, codes, outgoing.request_id))
            await response(scope, receive, outgoing)
        METRICS.requested(self._name, scope["method"], template, outgoing.status, time.perf_counter() - began)

    async def _admit(
        self,
        mounted: Mounted,
        params: dict[str, str],
        headers: dict[bytes, bytes],
        scope: Scope,
        receive: Receive,
        *,
        request_id: str,
    ) -> Call:
        client = scope["client"][0] if scope.get("client") else None
        read = {} if mounted.open else headers
        admitted = await self._doorkeeper.admit(mounted.access, read, params, request_id, client)
        key = None
        if mounted.idempotency != "none":
            key = _key(headers, required=mounted.idempotency == "required")
        body = b""
        if scope["method"] not in _BODILESS:
            check_length(headers, mounted.max_body)
            body = await read_body(receive, mounted.max_body)
            if mounted.reads_json:
                check_json(headers, body, mounted.codes, self._translator)
        return Call(
            admitted.context, admitted.sender, scope["method"], scope["path"], params, scope["query_string"], body, key,
            headers,
        )  # fmt: skip

    async def _answer(self, mounted: Mounted, call: Call, scope: Scope, receive: Receive, outgoing: Outgoing) -> None:
        scope[DRAINING] = self.draining
        if mounted.answer is not None:
            await (await mounted.answer(call))(scope, receive, outgoing)
            return
        again = receive if call.method in _BODILESS else replay(call.body, receive)
        state = {**scope.get("state", {}), "call": call}
        try:
            await self._fastapi({**scope, "state": state}, again, outgoing)
        except Exception:
            if "told" not in state:
                raise

    # --- FastAPI's own refusals ---------------------------------------------------------------------------------------

    async def _on_refusal(self, request: Request, error: Exception) -> Response:
        mounted, _ = self._table.find(request.method, request.scope["path"])
        return problem_response(self._translator.problem(error, mounted.codes, request.state.call.request_id))

    async def _on_error(self, request: Request, error: Exception) -> Response:
        request.state.told = True  # Starlette raises the error once more after this answer
        return problem_response(self._translator.problem(error, {}, request.state.call.request_id))


class Outgoing:
    """The way back: gives every answer its request id, and remembers the status."""

    __slots__ = ("_header", "_send", "request_id", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode("ascii"))
        self.request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._header]
        await self._send(message)


def service_app(
    host: Host,
    *,
    verifier: TokenVerifier | None = None,
    service_verifier: ServiceTokenVerifier | None = None,
    key_ring: KeyRing | None = None,
    bus: Bus | None = None,
    checks: Mapping[str, Check] | None = None,
    draining: Draining | None = None,
    lifespan: Lifespan | None = None,
) -> ServiceApp:
    """The ASGI app of a running service.

    Args:
        host: the running service.
        verifier: verifies access tokens; None where no route needs a user.
        service_verifier: verifies the tokens of calling services; None refuses every internal route.
        key_ring: its public keys are shown at `/.well-known/jwks.json`.
        bus: must answer for the service to be ready, as its database must.
        checks: what else must answer, by name.
        draining: shared with whoever learns first that the process is to stop.
        lifespan: entered when the server starts, left when it has stopped serving.

    Raises:
        DeclarationError: a route that cannot be served as it is declared.
    """
    return ServiceApp(
        host,
        verifier=verifier,
        service_verifier=service_verifier,
        key_ring=key_ring,
        checks={**({"bus": bus.ping} if bus is not None else {}), **(checks or {})},
        draining=draining or Draining(),
        lifespan=lifespan,
    )


def _showing(ring: KeyRing) -> Callable[[Call], Awaitable[Response]]:
    async def keys(_: Call) -> Response:
        return JSONResponse(ring.jwks(), headers={"Cache-Control": "public, max-age=60"})

    return keys


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The request's own id where it is short and plain, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{random.getrandbits(128):032x}"


def _key(headers: Mapping[bytes, bytes], *, required: bool) -> str | None:
    given = headers.get(b"idempotency-key") or headers.get(b"x-idempotency-key")
    if not given:
        if required:
            raise Problem(400, "MISSING_IDEMPOTENCY_KEY", "Send an Idempotency-Key header")
        return None
    return given.decode("latin-1")
