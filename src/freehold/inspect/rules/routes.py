"""Routes: each says who may call it, no two claim the same requests, and no answer grows without end."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Endpoint, Survey

LIMITS = frozenset({"limit", "page_size", "per_page", "size", "first", "top"})
"""What a client calls the number of rows that it wants."""


def route_without_access(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for endpoint in survey.endpoints(service):
            if endpoint.access is None:
                yield Finding(
                    _name(endpoint),
                    "does not say who may call it, so it refuses everybody",
                    "Give it access=public, user, owner(…), role(…), permission(…), internal or signature",
                    survey.source.of(endpoint.declared),
                )


def route_served_twice(survey: Survey) -> Iterator[Finding]:
    first: dict[tuple[str, ...], Endpoint] = {}
    for service in survey.services:
        for endpoint in survey.endpoints(service):
            known = first.setdefault(_claim(endpoint), endpoint)
            if known is not endpoint:
                yield Finding(
                    _name(endpoint),
                    f"is served by {known.service.name} too, as {known.method} {known.path}",
                    "Change one of the paths; only one of them can ever be reached",
                    survey.source.of(endpoint.declared),
                )


def unbounded_list(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for route in service.routes:
            annotations = inspect.get_annotations(route.handler, eval_str=True)
            answer = annotations.pop("return", None)
            if route.method == "GET" and _is_list(answer) and not any(map(_is_bounded, _limits(annotations))):
                yield Finding(
                    f"{service.name} {route.method} {survey.system.gateway.path(route.path)}",
                    "answers with a list that nothing bounds",
                    "Take Paging and answer with list_rows(…), or take a limit that has a largest value",
                    survey.source.of(route.handler),
                )


def _is_list(answer: Any) -> bool:
    """Whether an answer is a list, or a page of one: a model whose `data` is a list."""
    data = getattr(answer, "model_fields", {}).get("data")
    kind = get_origin(answer if data is None else data.annotation) or answer
    return isinstance(kind, type) and issubclass(kind, Collection) and not issubclass(kind, str | bytes | Mapping)


def _limits(annotations: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """What is declared of each parameter that may bound a list: its type, and what stands beside it."""
    for name, annotation in annotations.items():
        kind, *beside = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
        if name in LIMITS:
            yield (kind, *beside, *(more for each in beside for more in getattr(each, "metadata", ())))
        for inner, field in getattr(kind, "model_fields", {}).items():
            if inner in LIMITS:
                yield (field.annotation, *field.metadata)


def _is_bounded(declared: tuple[Any, ...]) -> bool:
    kind, *beside = declared
    return get_origin(kind) is Literal or any(hasattr(each, bound) for each in beside for bound in ("le", "lt"))


def _claim(endpoint: Endpoint) -> tuple[str, ...]:
    """What no other endpoint may claim: public paths in the whole system, internal ones in their service."""
    internal = endpoint.access is not None and endpoint.access.kind == "internal"
    scope = endpoint.service.name if internal else ""
    return scope, endpoint.method, re.sub(r"{[^}]*}", "{}", endpoint.path.rstrip("/"))


def _name(endpoint: Endpoint) -> str:
    return f"{endpoint.service.name} {endpoint.method} {endpoint.path}"


RULES = (
    Rule("FH070", "route-without-access", "error", "A route says who may call it.", route_without_access),
    Rule("FH071", "route-served-twice", "error", "A method and path is served once.", route_served_twice),
    Rule("FH072", "unbounded-list", "warning", "A list is answered a page at a time.", unbounded_list),
)
