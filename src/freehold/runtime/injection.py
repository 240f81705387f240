"""Handlers get what their parameters' types ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from typing import Any

from freehold.model.access import User
from freehold.model.service import Service
from freehold.runtime.context import Context
from freehold.runtime.provided import parameters
from freehold.runtime.transaction import Tx
from freehold.runtime.work import Work

Bound = Callable[..., Awaitable[Any]]
_FROM_UNIT: dict[Any, Callable[[Any], Any]] = {
    Tx: lambda unit: unit,
    Work: lambda unit: unit,
    Context: lambda unit: unit.context,
    User: lambda unit: unit.context.user,
    User | None: lambda unit: unit.context.user,
}


class StrayCancellation(Exception):
    """A handler raised CancelledError though nobody had cancelled it."""


def bind(function: Callable[..., Awaitable[Any]], *, leading: int = 1) -> Bound:
    """Make `bound(*leading arguments, unit)` from a handler, where `unit` is its Tx or Work.

    The first `leading` parameters are the message; every further one is filled by its annotation: `Tx`, `Work`, `User`,
    `Context`, or whatever the service provides. The signature is read once, here.
    """
    wanted = list(parameters(function).items())[leading:]
    resolvers = [(name, _FROM_UNIT.get(kind) or _using(kind)) for name, kind in wanted]

    async def bound(*arguments: Any) -> Any:
        *message, unit = arguments
        try:
            return await function(*message, **{name: resolve(unit) for name, resolve in resolvers})
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Something that the function awaited was cancelled, not the function: a failure like any other. Let
            # through, it would end the task that runs the handlers.
            raise StrayCancellation(f"{function.__qualname__}: what it waited for was cancelled") from error

    return bound


def resolver(kind: Any, provided: Container[Any]) -> Callable[[Any], Any] | None:
    """What fills a parameter annotated with `kind` from a Tx or Work; None when it is no business of the toolkit."""
    return _FROM_UNIT.get(kind) or (_using(kind) if kind in provided else None)


def takes(function: Callable[..., Any], kind: type[Any]) -> bool:
    """Whether a parameter of the function is annotated with this type."""
    return kind in parameters(function).values()


def anyone_takes(service: Service, kind: type[Any]) -> bool:
    """Whether any function of the service is given something of this type."""
    steps = [action for saga in service.sagas for step in saga.steps for action in (step.do, step.undo)]
    functions = [
        *(route.handler for route in service.routes),
        *(handler.function for handler in service.handlers),
        *(answer.function for answer in service.answered.values()),
        *(job.function for job in service.jobs),
        *(coalescing.function for coalescing in service.coalescings),
        *(action for action in steps if action is not None and not isinstance(action, type)),
        *service.provided.values(),
    ]
    return any(takes(function, kind) for function in functions)


def _using(kind: Any) -> Callable[[Any], Any]:
    return lambda unit: unit.use(kind)
