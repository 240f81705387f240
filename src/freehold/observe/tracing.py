"""Spans by the OpenTelemetry API: for requests, handlers, calls and jobs, in traces that go on through events.

Without a configured SDK every function here costs one comparison, and a trace that came in from elsewhere still travels
on, since events inherit the `traceparent` of what caused them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracerProvider, ProxyTracerProvider, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Kind = Literal["internal", "server", "client", "producer", "consumer"]
_KINDS: Final[dict[str, SpanKind]] = {
    "internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER, "consumer": SpanKind.CONSUMER,
}  # fmt: skip
_LINKS: Final = 100
_propagator: Final = TraceContextTextMapPropagator()
_nothing: Final = nullcontext()


def enabled() -> bool:
    """Whether somebody configured an SDK, so that spans go anywhere."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider | NoOpTracerProvider)


def span(
    name: str,
    kind: Kind = "internal",
    *,
    parent: str | None = None,
    links: Sequence[str | None] = (),
    **attributes: str | int | float | bool,
) -> AbstractContextManager[Any]:
    """A span around the block; an exception that leaves the block marks it as failed.

    Args:
        name: with few values: a route template, a handler's name. Never an id.
        kind: what OpenTelemetry calls it.
        parent: the W3C `traceparent` to continue; None continues the current span, if any.
        links: further `traceparent`s, of the events in a batch.
        attributes: written with `_` where OpenTelemetry has a dot.
    """
    if not enabled():
        return _nothing
    return _span(name, kind, parent, links, attributes)


@contextmanager
def _span(
    name: str,
    kind: Kind,
    parent: str | None,
    links: Sequence[str | None],
    attributes: dict[str, str | int | float | bool],
) -> Iterator[None]:
    tracer = trace.get_tracer_provider().get_tracer("freehold")
    with tracer.start_as_current_span(
        name,
        context=extract(parent) if parent else None,
        kind=_KINDS[kind],
        attributes={key.replace("_", "."): value for key, value in attributes.items()},
        links=[Link(found) for link in links[:_LINKS] if link and (found := _span_context(link)) is not None],
        record_exception=False,  # an exception's text may hold what no trace should; its type is enough
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str | None:
    """The W3C trace context of the current span, to travel with a call or an event; None outside of one."""
    if not enabled():
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def extract(parent: str) -> Context:
    """The OpenTelemetry context that a `traceparent` names; an empty one when it is malformed."""
    return _propagator.extract({"traceparent": parent}, Context())


def _span_context(parent: str) -> trace.SpanContext | None:
    found = trace.get_current_span(extract(parent)).get_span_context()
    return found if found.is_valid else None
