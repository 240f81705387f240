"""What is seen of a handler at work: a span that continues the publisher's trace, log fields, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from freehold.model.envelope import Envelope
from freehold.model.problem import Problem
from freehold.observe.logs import about
from freehold.observe.metrics import METRICS
from freehold.observe.tracing import span, traceparent
from freehold.runtime.context import Context
from freehold.runtime.host import Host


@contextmanager
def handling(host: Host, handler: str, envelopes: Sequence[Envelope]) -> Iterator[Context]:
    """The context to handle these events in; they count as handled when the block ends without raising.

    One event's span is a child of the span that published it; a batch's span links to all of theirs.
    """
    cause, service = envelopes[0], host.service.name
    header = cause.headers.get("traceparent")
    alone = len(envelopes) == 1
    links = () if alone else [envelope.headers.get("traceparent") for envelope in envelopes]
    with (
        about(service=service, event_id=str(cause.event_id)),
        span(handler, "consumer", parent=header if alone else None, links=links, service=service),
    ):
        yield Context(cause=cause, traceparent=traceparent() or header)
    now = host.clock.now()
    METRICS.handled(service, handler, [(now - envelope.time).total_seconds() for envelope in envelopes])


def kept(error: Exception) -> bool:
    """A Problem whose effects, and the inbox's mark with them, are committed: the event is handled."""
    return isinstance(error, Problem) and error.keep
