"""HTTP: services' apps, typed calls over the wire, and the gateway."""

from freehold.http.app import ServiceApp, service_app
from freehold.http.caller import HttpCaller
from freehold.http.gateway import GatewayApp, gateway_app
from freehold.http.health import Draining
from freehold.http.paging import Page, PageMeta, Paging, paginate

__all__ = [
    "Draining",
    "GatewayApp",
    "HttpCaller",
    "Page",
    "PageMeta",
    "Paging",
    "ServiceApp",
    "gateway_app",
    "paginate",
    "service_app",
]
