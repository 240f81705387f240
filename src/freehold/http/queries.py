"""Typed queries as they travel over HTTP: how one is written into a request, and read from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl, quote

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.responses import Response

from freehold.http.answers import JSON
from freehold.http.call import Call
from freehold.http.problems import Translator, malformed
from freehold.model.messages import Query
from freehold.runtime.calls import Answering

WROTE = "X-Wrote"
"""Tells the caller's detector which services' databases an answer has written, where there is a detector."""


def write_query(query: Query[Any]) -> tuple[str, str, list[tuple[str, str]], dict[str, Any] | None]:
    """(method, path, query parameters, JSON body or None) of the request that carries the query."""
    spec = query.__query__
    fields = query.model_dump(mode="json", exclude_none=True, by_alias=True)
    path = spec.path
    for name in query_path_fields(type(query)):
        path = path.replace(f"{{{name}}}", quote(str(fields.pop(name)), safe=""))
    if spec.method != "GET":
        return spec.method, path, [], fields
    parameters = [
        (name, _text(value))
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return spec.method, path, parameters, None


def read_query(query: type[Query[Any]], call: Call) -> Query[Any]:
    """The query that a request carries. Raises pydantic's ValidationError when it does not fit."""
    fields: dict[str, Any] = {}
    if query.__query__.method == "GET":
        fields = _parameters(query, call.query)
    elif call.body:
        read = from_json(call.body)
        fields = dict(read) if isinstance(read, Mapping) else {"": read}
    # Leniently, since paths and query strings are text; the model itself still decides what fits.
    return query.model_validate({**fields, **call.params}, strict=False)


def query_path_fields(query: type[Query[Any]]) -> list[str]:
    """The fields that travel in the path."""
    return [name for name in query.model_fields if f"{{{name}}}" in query.__query__.path]


class QueryRoute:
    """Answers one query over HTTP."""

    def __init__(self, query: type[Query[Any]], answering: Answering, translator: Translator) -> None:
        self._query = query
        self._answering = answering
        self._translator = translator

    async def answer(self, call: Call) -> Response:
        """The ready response."""
        try:
            query = read_query(self._query, call)
        except ValidationError as error:
            raise self._translator.invalid_body(error, {}) from None
        except ValueError:
            raise malformed({}) from None
        context = self._answering.followed(call.context) if call.from_service else call.context
        answer = await self._answering.answer(query, context)
        headers = {WROTE: ",".join(context.writes.services)} if context.writes and context.writes.services else None
        return Response(self._query.answer().dump_json(answer, by_alias=True), headers=headers, media_type=JSON)


def _parameters(query: type[Query[Any]], encoded: bytes) -> dict[str, Any]:
    many = {name: field for name, field in query.model_fields.items() if _holds_many(field.annotation)}
    found: dict[str, Any] = {name: [] for name, field in many.items() if field.is_required()}
    for name, value in parse_qsl(encoded.decode("latin-1"), keep_blank_values=True):
        if name in many:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _holds_many(annotation: Any) -> bool:
    kinds = (annotation, *get_args(annotation))
    return any((get_origin(kind) or kind) in (list, tuple, set, frozenset) for kind in kinds)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
