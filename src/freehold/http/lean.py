"""Lean routes: body, caller and path parameters, read without FastAPI, for the few paths where that time counts."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from freehold.http.action import Action
from freehold.http.call import Call
from freehold.http.problems import Translator
from freehold.model.errors import DeclarationError
from freehold.model.routes import Route


class LeanRoute:
    """Reads a request by what was found out about the handler once, when the app was made.

    Raises DeclarationError for a parameter that is neither in the path, nor the one body, nor filled by the toolkit.
    """

    def __init__(self, route: Route, action: Action, translator: Translator, where: str) -> None:
        in_path = set(re.findall(r"{(\w+)", route.path))
        self._action = action
        self._translator = translator
        self._codes = route.invalid
        self._params = [(name, TypeAdapter(kind)) for name, kind in action.open.items() if name in in_path]
        bodies = [(name, kind) for name, kind in action.open.items() if name not in in_path]
        if len(bodies) > 1 or any(
            inspect.signature(route.handler).parameters[name].default is not inspect.Parameter.empty
            for name, _ in bodies
        ):
            raise DeclarationError(
                where,
                f"a lean route reads one body and its path, not {', '.join(name for name, _ in bodies)}",
                "Drop lean=True, or put them into the body",
            )
        self._body: tuple[str, TypeAdapter[Any]] | None = None
        if bodies:
            self._body = bodies[0][0], TypeAdapter(bodies[0][1])

    async def answer(self, call: Call) -> Response:
        """The ready response. Raises the Problem of an invalid request."""
        given: dict[str, Any] = {}
        for name, adapter in self._params:
            try:
                given[name] = adapter.validate_strings(call.params[name])
            except ValidationError as error:
                errors = [{**each, "loc": (name, *each["loc"])} for each in error.errors(include_context=False)]
                raise self._translator.invalid(errors, self._codes) from None
        if self._body is not None:
            name, adapter = self._body
            try:
                given[name] = adapter.validate_json(call.body)
            except ValidationError as error:
                raise self._translator.invalid_body(error, self._codes) from None
        return await self._action.perform(call, given)
