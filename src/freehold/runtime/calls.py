"""Typed calls between services: the answering side, and the way there within one process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from freehold.model.errors import ConfigurationError, DatabaseUnavailable, Unavailable
from freehold.model.messages import Query
from freehold.model.ports import ANSWERING, Caller
from freehold.model.problem import Problem
from freehold.model.service import Answer
from freehold.model.system import System
from freehold.observe.metrics import METRICS
from freehold.runtime.context import Asking, Context
from freehold.runtime.host import Host
from freehold.runtime.injection import bind, takes
from freehold.runtime.transaction import Tx
from freehold.runtime.work import Work

R = TypeVar("R")
_log = logging.getLogger("freehold.calls")


@dataclass(frozen=True, slots=True)
class _Bound:
    declared: Answer
    function: Callable[..., Awaitable[Any]]
    own_transactions: bool


class Answering:
    """Answers the queries of one running service, each in a transaction of its own.

    Both ways in, the call within the process and the one over HTTP, end here.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._bound = {
            query: _Bound(answer, bind(answer.function), takes(answer.function, Work))
            for query, answer in host.service.answered.items()
        }

    def followed(self, context: Context) -> Context:
        """The context of a call that came over the wire, so that a detector can tell the caller what it wrote."""
        detector = self._host.detector
        return detector.begin(context, self._host.service.name, always=True) if detector else context

    async def answer(self, query: Query[R], context: Context) -> R:
        """The answer, validated and committed.

        Raises whatever the answering function raises, and Unavailable when the context's deadline passes first.
        """
        found = self._bound[type(query)]
        adapter = type(query).answer()

        async def attempt(tx: Tx) -> Any:
            return adapter.validate_python(await found.function(query, tx), from_attributes=True)

        work = self._host.work(context)
        answering = ANSWERING.set(True)
        try:
            async with asyncio.timeout_at(context.deadline):
                if found.own_transactions:
                    made = await found.function(query, work)
                    return adapter.validate_python(made, from_attributes=True)
                return cast(R, await work.run(attempt, readonly=not found.declared.writes))
        except TimeoutError as error:
            name = type(query).__name__
            raise Unavailable(f"{self._host.service.name} did not answer {name} in time") from error
        finally:
            ANSWERING.reset(answering)


class LocalCaller:
    """Carries queries to services of the same process, with the semantics of a call over the wire.

    Args:
        system: knows who answers what.
        hosts: the running services by name; it may be filled after the caller is made.
        elsewhere: carries the queries that none of them answers.
        timeout: seconds that any call may take, when None as many as its query says.
    """

    def __init__(
        self,
        system: System,
        hosts: Mapping[str, Host],
        elsewhere: Caller[Asking] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        self._system = system
        self._hosts = hosts
        self._elsewhere = elsewhere
        self._timeout = timeout
        self._answering: dict[str, Answering] = {}

    async def ask(self, query: Query[R], context: Asking) -> R:
        """The answer. Raises the Problem that the other service answered, or Unavailable when it cannot be had."""
        target = answerer(self._system, query)
        host = self._hosts.get(target)
        if host is None:
            if self._elsewhere is None:
                raise ConfigurationError(
                    f"service {context.service}",
                    f"asks {type(query).__name__} of {target}, which does not run in this process",
                    "Give its address to the deployment",
                )
            return await self._elsewhere.ask(query, context)
        return await or_fallback(self._system, query, context, lambda: self._ask(host, query, context))

    async def _ask(self, host: Host, query: Query[R], asking: Asking) -> R:
        answering = self._answering.get(host.service.name)
        if answering is None:
            answering = self._answering[host.service.name] = Answering(host)
        adapter = type(query).answer()
        with measured(query, asking):
            answer = await self._answered(answering, host, query, asking)
            # The asker gets what it would get over the wire, not an object that two services share.
            return adapter.validate_json(adapter.dump_json(answer, by_alias=True))

    async def _answered(self, answering: Answering, host: Host, query: Query[R], asking: Asking) -> R:
        try:
            return await answering.answer(query, called(asking, deadline(query, asking, self._timeout)))
        except Problem as problem:
            raise as_seen_from_outside(problem, host.service.name) from problem
        except Exception as error:
            if isinstance(error, Unavailable) and not isinstance(error, DatabaseUnavailable):
                raise
            if not (host.engine.is_unavailable(error) or host.engine.is_conflict(error)):
                _log.error("%s failed to answer %s", host.service.name, type(query).__name__, exc_info=error)
            raise Unavailable(f"{host.service.name} could not answer {type(query).__name__}") from error


@contextmanager
def measured(query: Query[Any], asking: Asking) -> Iterator[None]:
    """Around a call, however it travels: `freehold_call_seconds` tells how long it took and how it ended."""
    began, outcome = time.perf_counter(), "unavailable"
    try:
        yield
        outcome = "answered"
    except Problem:
        outcome = "refused"
        raise
    finally:
        METRICS.called(asking.service, type(query).__name__, outcome, time.perf_counter() - began)


def answerer(system: System, query: Query[Any]) -> str:
    """The name of the service that answers the query. Raises ConfigurationError when none does."""
    service = system.answerer(type(query))
    if service is None:
        raise ConfigurationError(
            f"system {system.name}",
            f"nobody answers {type(query).__name__}",
            f"Write a function under @service.answers({type(query).__name__})",
        )
    return service.name


def deadline(query: Query[Any], asking: Asking, timeout: float | None = None) -> float:
    """The moment, on the event loop's clock, until which the whole call may take: `timeout` seconds, or the query's."""
    own = asyncio.get_running_loop().time() + (query.__query__.timeout if timeout is None else timeout)
    return own if asking.deadline is None else min(own, asking.deadline)


def called(asking: Asking, until: float) -> Context:
    """The context that the answering service works in."""
    headers = asking.context.event_headers()
    return Context(
        user=asking.user,
        request_id=headers.get("correlationid"),
        tenant_id=asking.context.tenant_id,
        traceparent=headers.get("traceparent"),
        deadline=until,
        writes=asking.context.writes,
    )


def as_seen_from_outside(problem: Problem, service: str) -> Exception:
    """A Problem as the asking service meets it: the same where it refuses, Unavailable where it is a failure."""
    if problem.status >= 500:
        return Unavailable(f"{service} answered {problem.status} {problem.code}")
    return Problem(problem.status, problem.code, problem.detail, **problem.extra)


async def or_fallback(system: System, query: Query[R], asking: Asking, call: Callable[[], Awaitable[R]]) -> R:
    """The call's answer, or when it is Unavailable what the asking service declared to make do with."""
    try:
        return await call()
    except Unavailable as error:
        fallback = system.service(asking.service).fallbacks.get(type(query))
        if fallback is None:
            raise
        _log.warning("%s makes do without %s: %s", asking.service, type(query).__name__, error)
        return cast(R, await fallback(query))
