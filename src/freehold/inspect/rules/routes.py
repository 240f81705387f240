"""Routes: each says who may call it, and no two claim the same requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Endpoint, Survey


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
)
