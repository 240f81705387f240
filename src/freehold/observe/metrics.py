"""Metrics for Prometheus: one registry for the process, with everything the toolkit counts.

Labels take few values only: names from declarations, route templates, statuses. Never a path, an id or a key.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from freehold.model.errors import DeclarationError

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
UNMATCHED: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_BREAKER: Final = {"closed": 0, "half-open": 1, "open": 2}


class Metrics:
    """Everything that is counted and measured.

    A system counts its own things beside them with `counter` and `gauge`.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self._requests = counter("http_requests", "Requests answered", "service", "method", "route", "status")
        self._request_seconds = histogram(
            "http_request_duration_seconds", "Time to answer", _SECONDS, "service", "method", "route"
        )
        # Looking the labels up costs more than counting, and this is done for every request.
        self._by_request: dict[tuple[str, str, str | None, int], tuple[Counter, Histogram]] = {}
        self._published = counter("freehold_events_published", "Events safe with the bus", "service", "event")
        self._handled = counter("freehold_events_handled", "Events committed by a handler", "service", "handler")
        self._failed = counter("freehold_events_failed", "Tries of a handler that failed", "service", "handler")
        self._commit_to_handler = histogram(
            "freehold_commit_to_handler_seconds", "From an event's time to its handler's commit", _SECONDS,
            "service", "handler",
        )  # fmt: skip
        self._pending = gauge("freehold_outbox_pending", "Rows not published yet; counted up to a limit", "service")
        self._oldest = gauge("freehold_outbox_oldest_seconds", "Age of the oldest row not published yet", "service")
        self._parked = gauge("freehold_parked_events", "Events that wait for their next try", "service")
        self._dead = gauge("freehold_dead_letters", "Events given up and not resolved", "service", "direction")
        self._sagas = counter("freehold_saga", "Sagas that came into a state", "service", "saga", "state")
        self._jobs = counter("freehold_job_runs", "Runs of jobs", "service", "job", "outcome")
        self._job_seconds = histogram("freehold_job_seconds", "Time that a job took", _SECONDS, "service", "job")
        self._batches = histogram("freehold_coalesced_batch_size", "Calls decided together", _SIZES, "service", "call")
        self._calls = histogram(
            "freehold_call_seconds", "Time of a call to another service", _SECONDS, "service", "query", "outcome"
        )
        self._breaker = gauge("freehold_breaker_state", "0 closed, 1 half open, 2 open", "service", "target")
        self._ownership = counter(
            "freehold_ownership_violations", "Statements and requests that broke ownership", "service", "kind"
        )
        self._view_lag = gauge(
            "freehold_view_lag_seconds", "Age of the oldest event that waits for a view", "service", "view"
        )

        self._read_repairs = counter("freehold_read_repairs", "Rows asked of their owner", "service", "view")
        self._drift = counter("reconciliation_drift", "Differences that a reconciliation found", "service", "check")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=tuple(buckets), registry=self.registry)

    def requested(self, service: str, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered. `route` is the template (`/orders/{id}`), None when no route fitted."""
        method = method if method in _METHODS else "OTHER"
        key = (service, method, route, status)
        series = self._by_request.get(key)
        if series is None:
            named = (service, method, route or UNMATCHED)
            series = self._requests.labels(*named, str(status)), self._request_seconds.labels(*named)
            self._by_request[key] = series
        answered, duration = series
        answered.inc()
        duration.observe(seconds)

    def published(self, service: str, events: Iterable[str]) -> None:
        """Events of these types are marked as published."""
        for event, count in Tally(events).items():
            self._published.labels(service, event).inc(count)

    def handled(self, service: str, handler: str, ages: Sequence[float]) -> None:
        """A handler committed events that are so many seconds old."""
        self._handled.labels(service, handler).inc(len(ages))
        seconds = self._commit_to_handler.labels(service, handler)
        for age in ages:
            seconds.observe(max(age, 0.0))

    def failed(self, service: str, handler: str) -> None:
        """A handler failed at an event, which will be tried again or is dead."""
        self._failed.labels(service, handler).inc()

    def backlog(self, service: str, *, pending: int, oldest_seconds: float, parked: int, dead: dict[str, int]) -> None:
        """What waits in a service's database. `dead` is by direction, `publish` or `consume`."""
        self._pending.labels(service).set(pending)
        self._oldest.labels(service).set(oldest_seconds)
        self._parked.labels(service).set(parked)
        for direction in ("publish", "consume"):
            self._dead.labels(service, direction).set(dead.get(direction, 0))

    def saga(self, service: str, saga: str, state: str) -> None:
        """A saga came into a state."""
        self._sagas.labels(service, saga, state).inc()

    def job_ran(self, service: str, job: str, seconds: float, *, failed: bool = False) -> None:
        """A job ran to its end, or failed."""
        self._jobs.labels(service, job, "failed" if failed else "done").inc()
        self._job_seconds.labels(service, job).observe(seconds)

    def coalesced(self, service: str, call: str, size: int) -> None:
        """So many calls were decided by one transaction."""
        self._batches.labels(service, call).observe(size)

    def called(self, service: str, query: str, outcome: str, seconds: float) -> None:
        """A query was asked of another service. `outcome`: `answered`, `refused` (a Problem) or `unavailable`."""
        self._calls.labels(service, query, outcome).observe(seconds)

    def breaker(self, service: str, target: str, state: str) -> None:
        """A breaker came into a state: `closed`, `half-open` or `open`."""
        self._breaker.labels(service, target).set(_BREAKER[state])

    def ownership_violated(self, service: str, kind: str) -> None:
        """A statement touched another service's table (`foreign_table`), or a request wrote `two_databases`."""
        self._ownership.labels(service, kind).inc()

    def view_lag(self, service: str, view: str, seconds: float) -> None:
        """The age of the oldest event that reached the service and waits for its view to take it."""
        self._view_lag.labels(service, view).set(seconds)

    def read_repaired(self, service: str, view: str) -> None:
        """A view asked its owner for a row that it did not have."""
        self._read_repairs.labels(service, view).inc()

    def drifted(self, service: str, check: str) -> None:
        """A reconciliation found a difference."""
        self._drift.labels(service, check).inc()

    def render(self) -> bytes:
        """The whole registry as Prometheus reads it; its content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)


def _of_the_process() -> Metrics:
    made = Metrics()
    ProcessCollector(registry=made.registry)
    PlatformCollector(registry=made.registry)
    GCCollector(registry=made.registry)
    return made


METRICS: Final = _of_the_process()
"""The process's metrics, which `/metrics` shows."""
_own: Final[dict[str, Counter | Gauge]] = {}
M = TypeVar("M", Counter, Gauge)


def counter(name: str, text: str, *labels: str) -> Counter:
    """A counter of a system's own, which `/metrics` shows as `NAME_total`; for one name always the same.

    Raises DeclarationError when the name is a gauge's.

    Args:
        name: lower-case words, unique in the process.
        text: what is counted.
        labels: names of its labels, which take few values.
    """
    return _made(Counter, name, text, labels)


def gauge(name: str, text: str, *labels: str) -> Gauge:
    """A number that goes up and down, otherwise like `counter`."""
    return _made(Gauge, name, text, labels)


def _made(kind: type[M], name: str, text: str, labels: Sequence[str]) -> M:
    if name not in _own:
        _own[name] = kind(name, text, labels, registry=METRICS.registry)
    made = _own[name]
    if not isinstance(made, kind):
        raise DeclarationError(f"metric {name}", f"is a {type(made).__name__.lower()} already", "Give it another name")
    return made
