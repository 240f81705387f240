"""Lean routes: body, caller, path parameters and headers, read without FastAPI, for the few paths where that counts."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any, get_args, get_origin

from fastapi.params import Header
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from freehold.http.action import Action
from freehold.http.call import Call
from freehold.http.problems import Translator
from freehold.model.errors import DeclarationError
from freehold.model.routes import Route


class LeanRoute:
    """Reads a request by what was found out about the handler once, when the app was made.

    A header is a parameter like `queue_pass: Annotated[str | None, Header(alias="X-Queue-Pass")] = None`: text as it
    came, or None.

    Raises DeclarationError for a parameter that is neither in the path, nor a header, nor the one body, nor filled by
    the toolkit.
    """

    def __init__(self, route: Route, action: Action, translator: Translator, where: str) -> None:
        in_path = set(re.findall(r"{(\w+)", route.path))
        self._action = action
        self._translator = translator
        self._codes = route.invalid
        self._params = [(name, TypeAdapter(kind)) for name, kind in action.signature.open.items() if name in in_path]
        self._headers = {name: alias for name, kind in action.signature.open.items() if (alias := _header(name, kind))}
        known = in_path | self._headers.keys()
        bodies = [(name, kind) for name, kind in action.signature.open.items() if name not in known]
        if len(bodies) > 1 or any(
            inspect.signature(route.handler).parameters[name].default is not inspect.Parameter.empty
            for name, _ in bodies
        ):
            raise DeclarationError(
                where,
                f"a lean route reads one body, its path and headers, not {', '.join(name for name, _ in bodies)}",
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
        for name, alias in self._headers.items():
            header = call.headers.get(alias)
            given[name] = None if header is None else header.decode("latin-1")
        if self._body is not None:
            name, adapter = self._body
            try:
                given[name] = adapter.validate_json(call.body)
            except ValidationError as error:
                raise self._translator.invalid_body(error, self._codes) from None
        return await self._action.perform(call, given)


def _header(name: str, kind: Any) -> bytes | None:
    """The header, in lower case, that a parameter of this annotation is read from; None when it is no header."""
    if get_origin(kind) is not Annotated:
        return None
    marker = next((each for each in get_args(kind)[1:] if isinstance(each, Header)), None)
    if marker is None:
        return None
    return (marker.alias or name.replace("_", "-")).lower().encode("ascii")
