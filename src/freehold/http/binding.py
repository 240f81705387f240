"""Ordinary routes: FastAPI reads the request, the toolkit fills the rest."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from freehold.http.action import Action, Signature
from freehold.http.call import Call
from freehold.http.openapi import documented
from freehold.http.problems import Translator, problem_response
from freehold.model.routes import Route
from freehold.model.system import System

_REQUEST = "freehold_request"


def add_route(
    app: FastAPI, path: str, route: Route, *, action: Action, translator: Translator, system: System
) -> OrdinaryRoute:
    """Add the route to the app, its signature reduced to what FastAPI is to read and document.

    It answers for as long as somebody keeps what is returned.
    """
    answering = OrdinaryRoute(route, action, translator)
    # FastAPI remembers every endpoint that it ever met, and with a strong reference the whole service behind it.
    _add(app, path, route, action.signature, system, find=weakref.ref(answering))
    return answering


def document_route(app: FastAPI, path: str, route: Route, signature: Signature, system: System) -> None:
    """Add the route to an app that only documents it."""
    _add(app, path, route, signature, system, find=lambda: None)


def _add(
    app: FastAPI,
    path: str,
    route: Route,
    signature: Signature,
    system: System,
    *,
    find: Callable[[], OrdinaryRoute | None],
) -> None:
    """What the toolkit documents, and then the declaration's own options, win over what is told of the handler."""
    name = route.handler.__name__
    told = {
        "name": name,
        "summary": name.replace("_", " ").capitalize(),
        "description": inspect.getdoc(route.handler) or "",
        "operation_id": f"{name}_{route.method.lower()}_{_words(path)}",
    }
    app.add_api_route(
        path,
        _endpoint(route, signature.open, find),
        methods=[route.method],
        status_code=route.status_code,
        response_model=signature.answers.model,
        response_class=signature.answers.response_class,
        **{**told, **documented(route, system), **route.options},
    )


class OrdinaryRoute:
    """Answers what FastAPI has read."""

    def __init__(self, route: Route, action: Action, translator: Translator) -> None:
        self._route = route
        self._action = action
        self._translator = translator

    async def answer(self, call: Call, given: dict[str, Any]) -> Response:
        """The handler's answer, or the problem that it came to."""
        try:
            return await self._action.perform(call, given)
        except Exception as error:
            return problem_response(self._translator.problem(error, self._route.invalid, call.request_id))


def _endpoint(
    route: Route, open_parameters: Mapping[str, Any], find: Callable[[], OrdinaryRoute | None]
) -> Callable[..., Any]:
    own = next((name for name, kind in open_parameters.items() if kind is Request), None)

    async def endpoint(**given: Any) -> Response:
        request: Request = given[own] if own else given.pop(_REQUEST)
        answering = find()
        assert answering is not None, "the app that had this route is gone"  # noqa: S101
        return await answering.answer(request.state.call, given)

    declared = inspect.signature(route.handler).parameters
    visible = [
        declared[name].replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
        for name, kind in open_parameters.items()
    ]
    if own is None:
        visible.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    endpoint.__signature__ = inspect.Signature(visible)  # type: ignore[attr-defined]
    endpoint.__name__ = route.handler.__name__
    return endpoint


def _words(path: str) -> str:
    return "_".join(part.strip("{}").replace(":path", "").replace("-", "_") for part in path.strip("/").split("/"))
