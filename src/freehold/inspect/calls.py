"""Which services ask which, and on the way to what: read from the functions that ask."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from freehold.inspect.source import Module, Source
from freehold.model.messages import Query
from freehold.model.saga import is_command
from freehold.model.service import Coalescing, Service
from freehold.model.system import System

Function = Callable[..., Any]
AnyQuery = type[Query[Any]]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Where work begins in a service: a route, a handler, a job, a saga's step or an answer."""

    service: Service
    name: str
    function: Function


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A service asks another."""

    asker: Service
    query: AnyQuery
    answerer: Service

    @property
    def has_fallback(self) -> bool:
        """Whether the asker can do without an answer."""
        return self.query in self.asker.fallbacks


class Calls:
    """The calls that services make while they work, found in their files.

    A function asks the queries that it makes, and those of every function and class of its own service that it names.
    That is more than it can ever ask at once, never less, but for what is named only inside of functions.
    """

    def __init__(self, system: System, source: Source) -> None:
        self._system = system
        self._files = {
            service.name: {module.name: module for module in source.modules(service)} for service in system.services
        }

    def paths(self, entry: Entry) -> Iterator[tuple[Call, ...]]:
        """Every path of calls that begins here, each as far as it goes; it ends where it meets a service again."""
        yield from self._onward(entry.service, entry.function, ())

    def _onward(self, service: Service, function: Function, path: tuple[Call, ...]) -> Iterator[tuple[Call, ...]]:
        found = [call for query in self._asked(service.name, function) if (call := self._call(service, query))]
        if not found and path:
            yield path
        for call in found:
            longer = (*path, call)
            if any(call.answerer is each.asker for each in longer):
                yield longer
            else:
                yield from self._onward(call.answerer, call.answerer.answered[call.query].function, longer)

    def _call(self, asker: Service, query: AnyQuery) -> Call | None:
        answerer = self._system.answerer(query)
        return Call(asker, query, answerer) if answerer is not None and answerer is not asker else None

    @functools.cache  # noqa: B019 - lives as long as one check
    def _asked(self, service: str, function: Function) -> tuple[AnyQuery, ...]:
        files = self._files[service]
        asked: dict[AnyQuery, None] = {}
        seen: set[Any] = set()
        waiting: list[Any] = [function]
        while waiting:
            defined = inspect.unwrap(waiting.pop())
            if defined.__module__ not in files or defined in seen:
                continue
            seen.add(defined)
            queries, further = _named(files[defined.__module__], defined)
            asked |= dict.fromkeys(queries)
            waiting += further
        return tuple(asked)


@functools.lru_cache(maxsize=4096)
def _named(module: Module, defined: Any) -> tuple[list[AnyQuery], list[Any]]:
    """The queries that a function or class of the file makes, and the functions and classes that it names."""
    queries: list[AnyQuery] = []
    further: dict[Any, None] = {}
    for definition in _definitions(module).get(defined.__name__, ()):
        for node in ast.walk(definition) if _is(definition, defined) else ():
            if isinstance(node, ast.Call):
                made = module.value(node.func)
                if isinstance(made, type) and issubclass(made, Query):
                    queries.append(made)
            elif isinstance(node, ast.Name | ast.Attribute):
                named = module.value(node)
                function = named.function if isinstance(named, Coalescing) else named
                if inspect.isfunction(function) or inspect.isclass(function):
                    further[function] = None
    return queries, list(further)


@functools.lru_cache(maxsize=1024)
def _definitions(module: Module) -> dict[str, list[Definition]]:
    found: dict[str, list[Definition]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, Definition):
            found.setdefault(node.name, []).append(node)
    return found


def _is(definition: Definition, defined: Any) -> bool:
    code = getattr(defined, "__code__", None)
    first = min([definition.lineno, *(decorator.lineno for decorator in definition.decorator_list)])
    return isinstance(definition, ast.ClassDef) if code is None else code.co_firstlineno == first


def entries(service: Service) -> list[Entry]:
    """Where work begins in the service."""
    steps = [action for saga in service.sagas for step in saga.steps for action in (step.do, step.undo)]
    found: list[tuple[str, Function]] = [
        *((f"{route.method} {route.path}", route.handler) for route in service.routes),
        *((handler.name, handler.function) for handler in service.handlers),
        *((query.__name__, answer.function) for query, answer in service.answered.items()),
        *((job.name, job.function) for job in service.jobs),
        *((step.__name__, step) for step in steps if step is not None and not is_command(step)),
    ]
    return [Entry(service, name, function) for name, function in found]
