"""The access matrix of a service: every declared route, and everybody who may knock."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from freehold import Service
from tests.systems.petpro.stage import Person, Stage, problem

Names = Mapping[str, str]
Makers = Mapping[str, Callable[[], Awaitable[Sequence[str]]]]
"""What makes rows, by the names that it gives to what it returns."""


@dataclass(frozen=True)
class Rule:
    """Who passes a route; everybody else gets 403, or 401 without a token.

    Args:
        route: method and path; its parameters are names of rows.
        passes: names of callers.
        body: what is sent; `{row}` in its texts is filled in.
        query: after the path, filled in as well.
    """

    route: str
    passes: str
    body: Mapping[str, Any] | None = None
    query: str = ""


def shape(route: str) -> str:
    """The route without the names of its parameters."""
    return "/".join("{}" if part.startswith("{") else part for part in route.split("/"))


def declared(service: Service) -> list[str]:
    """The shapes of a service's routes, sorted."""
    return sorted(shape(f"{route.method} {route.path}") for route in service.routes)


async def check(stage: Stage, rules: Iterable[Rule], callers: Mapping[str, Person | None], makers: Makers) -> None:
    """Everybody at every route: first those who must be refused, on the row that is there for the others."""
    wrong = []
    for rule in rules:
        passes = rule.passes.split()
        names = await _rows(rule, makers)
        for caller in sorted(callers, key=lambda caller: caller in passes):
            answer = await _ask(stage, rule, callers[caller], names)
            refused = 401 if callers[caller] is None else 403
            if not (answer.status_code < 300 if caller in passes else answer.status_code == refused):
                wrong.append(f"{rule.route}: {caller} got {answer.status_code} {answer.text[:200]}")
            if caller in passes and not rule.route.startswith("GET"):
                names = await _rows(rule, makers)
    assert not wrong, "\n".join(wrong)


async def _rows(rule: Rule, makers: Makers) -> Names:
    """Fresh rows, of the kinds that the rule names."""
    wanted = set(re.findall(r"{(\w+)}", f"{rule.route}{rule.query}{rule.body}"))
    names: dict[str, str] = {}
    for made, make in makers.items():
        if wanted & set(made.split()):
            names |= zip(made.split(), await make(), strict=True)
    return names


async def _ask(stage: Stage, rule: Rule, who: Person | None, names: Names) -> httpx.Response:
    method, path = f"{rule.route}{rule.query}".format_map(names).split(" ")
    return await stage.call(method, path, who, **_filled(dict(rule.body or {}), names))


def _filled(value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    return value.format_map(names) if isinstance(value, str) else value


async def check_internal(stage: Stage, service: Service) -> None:
    """What siblings ask is for services alone, and never passes the gateway."""
    admin = await stage.admin()
    async with stage.world.service(service.name) as client:
        for query in service.answered:
            path = query.__query__.route
            for name in query.model_fields:
                path = path.replace(f"{{{name}}}", str(admin.id))
            method = query.__query__.method
            problem(await client.request(method, path, headers=admin.headers, json={}), 401, "MISSING_SERVICE_TOKEN")
            outside = await stage.http.request(method, f"/api/v1{path}", headers=admin.headers)
            assert outside.status_code == 404, path
