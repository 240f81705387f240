"""HTTP in numbers, for Prometheus."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from starlette.responses import Response

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_requests = Counter("http_requests_total", "Requests answered", ["service", "method", "route", "status"])
_seconds = Histogram(
    "http_request_duration_seconds", "Until the answer was sent", ["service", "method", "route"], buckets=_BUCKETS
)


def observe(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request; `route` is the template, so that there are only so many."""
    count, duration = _series(service, method, route, status)
    count.inc()
    duration.observe(seconds)


@lru_cache(maxsize=4096)
def _series(service: str, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(service, method, route, str(status)), _seconds.labels(service, method, route)


def metrics_response() -> Response:
    """What Prometheus scrapes."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
