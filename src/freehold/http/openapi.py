"""OpenAPI 3.1: what a service's routes answer, their problems included."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from freehold.http.event_stream import EVENT_STREAM
from freehold.http.problems import PROBLEM_JSON, ProblemDocument
from freehold.model.routes import Route
from freehold.model.service import Service
from freehold.model.system import System

_PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
_SERVER_SENT = {
    "schema": {
        "type": "object",
        "description": "Each event of the stream.",
        "properties": {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}},
        "required": ["event", "data"],
    }
}
"""OpenAPI 3.1 has no `itemSchema` yet: its `schema` of a stream describes each event."""
_SCHEMES = {
    "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "service": {"type": "apiKey", "in": "header", "name": "X-Service-Token"},
}


def documented(route: Route, system: System) -> dict[str, Any]:
    """What is documented of a route besides its handler: FastAPI's `responses` and `openapi_extra`."""
    return {"responses": _problem_responses(route, system), "openapi_extra": _extra_of(route)}


def _problem_responses(route: Route, system: System) -> dict[int | str, dict[str, Any]]:
    """The problems that it may answer."""
    statuses = {400, 404, 405, 413, 415, 429, 500, 502, 503, 504, system.invalid_status, *route.errors}
    kind = route.access.kind if route.access else "user"
    if kind != "signature":
        statuses.add(401)
    if kind not in ("public", "signature"):
        statuses.add(403)
    if route.idempotency != "none":
        statuses |= {409, 422}
    return {status: _described(status) for status in sorted(statuses)}


def _extra_of(route: Route) -> dict[str, Any]:
    """What FastAPI cannot read off the handler: who may call, and the Idempotency-Key."""
    kind = route.access.kind if route.access else "user"
    extra: dict[str, Any] = {"x-freehold-access": str(route.access) if route.access else "none"}
    if kind == "internal":
        extra["security"] = [{"service": []}]
    elif kind not in ("public", "signature"):
        extra["security"] = [{"user": []}]
    if route.idempotency != "none":
        extra["parameters"] = [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": route.idempotency == "required",
                "description": "A repeated request with the same key gets the first answer and has no second effect.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            }
        ]
    return extra


def service_document(app: FastAPI, service: Service, system: System) -> dict[str, Any]:
    """The document of one service, whose routes the app has."""
    title = f"{system.title or system.name}: {service.name}"
    document = get_openapi(title=title, version=service.version, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _definitions()
    document["components"]["securitySchemes"] = _SCHEMES
    for operation in operations(document):
        # FastAPI documents its own 422, which is never answered here.
        unprocessable = operation["responses"].get("422", {})
        if "application/json" in unprocessable.get("content", {}):
            del operation["responses"]["422"]
        for response in operation["responses"].values():
            if EVENT_STREAM in response.get("content", {}):
                response["content"][EVENT_STREAM] = _SERVER_SENT
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def operations(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Every operation of a document."""
    return (operation for path in document.get("paths", {}).values() for operation in path.values())


def _described(status: int) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": _PROBLEM}}}


def _definitions() -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    inner: dict[str, Any] = schema.pop("$defs", {})
    return {"ProblemDocument": schema, **inner}
