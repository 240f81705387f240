"""The OpenAPI documents of a system as it is declared: no service runs for them."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from fastapi import FastAPI

from freehold.http.action import Signature
from freehold.http.binding import document_route
from freehold.http.documents import Document, merged
from freehold.http.gateway import public_routes
from freehold.http.openapi import service_document
from freehold.http.resource import service_routes
from freehold.model.service import Service
from freehold.model.system import System


def openapi_documents(
    system: System, provided: Callable[[Service], Container[Any]]
) -> tuple[dict[str, Document], Document]:
    """Each service's document by its name, and the gateway's: what they answer at `/openapi.json` when they run.

    Args:
        system: the declarations.
        provided: the types that handlers of a service get, and do not read from the request.

    Raises:
        DeclarationError: a route that cannot be served as it is declared.
    """
    documents = {service.name: _document(service, system, provided(service)) for service in system.services}
    public = {
        (method, system.gateway.path(path)) for service in system.services for method, path, _ in public_routes(service)
    }
    return documents, merged(system, documents, public)


def _document(service: Service, system: System, provided: Container[Any]) -> Document:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for route in service_routes(service, system):
        signature = Signature(route, provided, f"{service.name} {route.method} {route.path}")
        document_route(app, system.gateway.path(route.path), route, signature, system)
    return service_document(app, service, system)
