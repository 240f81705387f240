"""HTTP: services' apps, typed calls over the wire, and the gateway."""

from freehold.http.app import ServiceApp, service_app
from freehold.http.caller import HttpCaller
from freehold.http.gateway import GatewayApp, gateway_app
from freehold.http.health import Check, Draining, HealthApp

__all__ = [
    "Check",
    "Draining",
    "GatewayApp",
    "HealthApp",
    "HttpCaller",
    "ServiceApp",
    "gateway_app",
    "service_app",
]
