"""Where the gateway sends requests on to: an app in this process, or a server elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

import httpx
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.http.limits import too_large
from freehold.model.problem import Problem

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"transfer-encoding", b"upgrade")
)  # fmt: skip
_EVENT_STREAM = "text/event-stream"
_log = logging.getLogger("freehold.http")


class Backend(Protocol):
    """A service as the gateway reaches it."""

    async def forward(self, scope: Scope, receive: Receive, send: Send, *, timeout: float, max_body: int) -> None:
        """Have the request answered. Raises a Problem, 502 or 504, when no answer begins within `timeout` seconds."""
        ...


class LocalBackend:
    """An ASGI app in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def forward(self, scope: Scope, receive: Receive, send: Send, *, timeout: float, max_body: int) -> None:
        try:
            async with asyncio.timeout(timeout) as limit:

                async def send_on(message: Message) -> None:
                    limit.reschedule(None)  # an answer that has begun, an event stream for one, may last
                    await send(message)

                await self._app(scope, receive, send_on)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise _timed_out() from error


class RemoteBackend:
    """A server at a base URL.

    Args:
        service: its name, for the log.
        base_url: like `http://orders:8080`.
        client: whose pool of connections is used; its own timeouts are not.
    """

    def __init__(self, service: str, base_url: str, client: httpx.AsyncClient) -> None:
        self._service = service
        self._base = httpx.URL(base_url)
        self._client = client

    async def forward(self, scope: Scope, receive: Receive, send: Send, *, timeout: float, max_body: int) -> None:
        incoming = _Incoming(scope, receive, max_body)
        exchange = asyncio.create_task(self._exchange(scope, incoming, send, timeout))
        leaving = asyncio.create_task(incoming.wait_for_disconnect())
        try:
            await asyncio.wait({exchange, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done():
                exchange.result()
        finally:
            # When the client leaves, so does our own request, and the other side notices.
            for task in (exchange, leaving):
                task.cancel()
            await asyncio.gather(exchange, leaving, return_exceptions=True)

    async def _exchange(self, scope: Scope, incoming: _Incoming, send: Send, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        began = False
        try:
            async with asyncio.timeout(timeout) as limit:
                response = await self._client.send(self._request(scope, incoming), stream=True)
                try:
                    endless = response.headers.get("content-type", "").startswith(_EVENT_STREAM)
                    limit.reschedule(None if endless else loop.time() + timeout)
                    began = True
                    headers = [(k.lower(), v) for k, v in response.headers.raw if k.lower() not in HOP_BY_HOP]
                    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
                    async for part in response.aiter_raw():
                        limit.reschedule(None if endless else loop.time() + timeout)
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                finally:
                    await response.aclose()
        except TimeoutError as error:
            if began:
                raise
            raise _timed_out() from error
        except httpx.HTTPError as error:
            if began:
                raise
            _log.warning("%s at %s cannot be reached: %r", self._service, self._base, error)
            raise Problem(502, "BAD_GATEWAY", "The service cannot be reached", headers={"Retry-After": "1"}) from error

    def _request(self, scope: Scope, incoming: _Incoming) -> httpx.Request:
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        client = scope["client"][0] if scope.get("client") else "unknown"
        headers = [(k, v) for k, v in scope["headers"] if k not in HOP_BY_HOP and k != b"x-forwarded-for"]
        headers.append((b"x-forwarded-for", client.encode()))
        return httpx.Request(
            scope["method"],
            self._base.copy_with(raw_path=target),
            headers=headers,
            content=incoming.parts() if incoming.has_body else None,
            extensions={"timeout": {"connect": 5.0, "read": None, "write": None, "pool": 5.0}},
        )


class _Incoming:
    """The request's body, passed on part by part, and then the news that the client has left."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        names = {name for name, _ in scope["headers"]}
        self.has_body = bool(names & {b"content-length", b"transfer-encoding"})
        self._receive = receive
        self._limit = limit
        self._read = asyncio.Event()
        if not self.has_body:
            self._read.set()

    async def parts(self) -> AsyncIterator[bytes]:
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                raise too_large(self._limit)
            more = message.get("more_body", False)
            if part:
                yield part
        self._read.set()

    async def wait_for_disconnect(self) -> None:
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _timed_out() -> Problem:
    return Problem(504, "GATEWAY_TIMEOUT", "The service did not answer in time")
