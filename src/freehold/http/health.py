"""Whether a process lives, and whether it can serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from freehold.http.problems import problem_response
from freehold.model.problem import Problem
from freehold.observe.metrics import CONTENT_TYPE, METRICS

Check = Callable[[], Awaitable[None]]
CHECK_SECONDS = 2.0
_log = logging.getLogger("freehold.http")


class Draining:
    """Tells that the process is about to stop: readiness fails, event streams end, open requests finish."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Call it at the first sign of the end, e.g. SIGTERM."""
        self._begun.set()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    async def wait(self) -> None:
        """Until it begins; a route with an endless stream ends it then."""
        await self._begun.wait()


class HealthApp:
    """An ASGI app for a process that serves no routes: whether it lives and is ready, and its numbers."""

    def __init__(self, checks: Mapping[str, Check], draining: Draining) -> None:
        self._checks = checks
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await (await self._answer(scope["method"], scope["path"]))(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        if method == "GET" and path in ("/health", "/health/live"):
            return JSONResponse({"status": "ok"})
        if method == "GET" and path in ("/ready", "/health/ready"):
            return await readiness(self._checks, self._draining)
        if method == "GET" and path == "/metrics":
            return Response(METRICS.render(), media_type=CONTENT_TYPE)
        return problem_response(Problem(404, "NOT_FOUND", "This process serves no routes"))


async def readiness(checks: Mapping[str, Check], draining: Draining) -> Response:
    """200, or 503 that names what is missing."""
    failures = await asyncio.gather(*(_failure(name, check) for name, check in checks.items()))
    missing = {name: why for name, why in zip(checks, failures, strict=True) if why}
    if draining.begun:
        missing["process"] = "is shutting down"
    if missing:
        return JSONResponse({"status": "unavailable", "missing": missing}, 503, {"Retry-After": "1"})
    return JSONResponse({"status": "ok", "checks": dict.fromkeys(checks, "ok")})


async def _failure(name: str, check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"does not answer within {CHECK_SECONDS:g} seconds"
    except Exception as error:
        _log.warning("not ready: %s: %s", name, error)
        return "does not answer"
    return None
