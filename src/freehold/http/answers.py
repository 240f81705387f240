"""From what a handler returns to the response that is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import TypeAdapter
from starlette.responses import JSONResponse, Response

JSON = "application/json"
_BODILESS = (204, 205, 304)


class Answers:
    """Serialises answers by the handler's return annotation; one that does not fit it fails, before the commit."""

    def __init__(self, handler: Callable[..., Any], status_code: int) -> None:
        self._status = status_code
        annotation = inspect.get_annotations(handler, eval_str=True).get("return", Any)
        self.model: Any = _without_responses(annotation)
        self.response_class: type[Response] = JSONResponse
        """What is documented: the class of Response that the handler always answers with, an event stream for one."""
        if self.model is None and getattr(annotation, "media_type", None):
            self.response_class = annotation
        self._adapter: TypeAdapter[Any] | None = None if self.model is None else TypeAdapter(self.model)

    def response(self, answer: Any) -> Response:
        """The ready response; a Response that the handler made itself stays as it is.

        Raises pydantic's errors when the answer is not what the handler says it returns.
        """
        if isinstance(answer, Response):
            return answer
        if self._status in _BODILESS:
            return Response(status_code=self._status)
        if self._adapter is None:
            return Response(b"null", self._status, media_type=JSON)
        fitting = self._adapter.validate_python(answer, from_attributes=True)
        body = self._adapter.dump_json(fitting, by_alias=True, warnings="error")
        return Response(body, self._status, media_type=JSON)


def _without_responses(annotation: Any) -> Any:
    """What is left to serialise of `Order | JSONResponse`; None when nothing is."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    kept = [member for member in members if not (isinstance(member, type) and issubclass(member, Response))]
    if len(kept) == len(members):
        return annotation
    return Union[tuple(kept)] if kept else None  # noqa: UP007 - made at run time
