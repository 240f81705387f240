"""Ordinary routes: FastAPI reads the request, the toolkit fills the rest."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from freehold.http.action import Action
from freehold.http.problems import Translator, problem_response
from freehold.model.routes import Route

_REQUEST = "freehold_request"


def add_route(app: FastAPI, path: str, route: Route, action: Action, translator: Translator, **documented: Any) -> None:
    """Add the route to the app, its signature reduced to what FastAPI is to read and document.

    `documented` and then the declaration's own options win over what is told of the handler.
    """
    name = route.handler.__name__
    told = {
        "name": name,
        "summary": name.replace("_", " ").capitalize(),
        "description": inspect.getdoc(route.handler) or "",
        "operation_id": f"{name}_{route.method.lower()}_{_words(path)}",
    }
    app.add_api_route(
        path,
        _endpoint(route, action, translator),
        methods=[route.method],
        status_code=route.status_code,
        response_model=action.answers.model,
        response_class=action.answers.response_class,
        **{**told, **documented, **route.options},
    )


def _endpoint(route: Route, action: Action, translator: Translator) -> Callable[..., Awaitable[Response]]:
    own = next((name for name, kind in action.open.items() if kind is Request), None)

    async def endpoint(**given: Any) -> Response:
        request: Request = given[own] if own else given.pop(_REQUEST)
        call = request.state.call
        try:
            return await action.perform(call, given)
        except Exception as error:
            return problem_response(translator.problem(error, route.invalid, call.context.request_id))

    declared = inspect.signature(route.handler).parameters
    visible = [
        declared[name].replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
        for name, kind in action.open.items()
    ]
    if own is None:
        visible.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    endpoint.__signature__ = inspect.Signature(visible)  # type: ignore[attr-defined]
    endpoint.__name__ = route.handler.__name__
    return endpoint


def _words(path: str) -> str:
    return "_".join(part.strip("{}").replace(":path", "").replace("-", "_") for part in path.strip("/").split("/"))
