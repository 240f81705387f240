"""Spans: real ones when an SDK is configured, next to nothing when none is, and traces that go on from a header."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from freehold.observe import tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def test_a_span_goes_on_with_the_trace_it_is_given(spans: InMemorySpanExporter) -> None:
    with tracing.span("stock.reserve", "consumer", parent=PARENT, service="stock", messaging_batch=2):
        inner = tracing.traceparent()
    (span,) = spans.get_finished_spans()
    assert span.parent is not None
    assert span.context is not None
    assert inner == f"00-0af7651916cd43dd8448eb211c80319c-{span.context.span_id:016x}-01"
    assert span.parent.span_id == 0xB7AD6B7169203331
    assert span.kind is SpanKind.CONSUMER
    assert dict(span.attributes or {}) == {"service": "stock", "messaging.batch": 2}


def test_spans_nest(spans: InMemorySpanExporter) -> None:
    with tracing.span("outer"), tracing.span("inner"):
        pass
    inner, outer = spans.get_finished_spans()
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


def test_a_batch_is_linked_to_the_traces_of_its_events(spans: InMemorySpanExporter) -> None:
    with tracing.span("stock.count", links=[PARENT, None, "nonsense", OTHER]):
        pass
    (span,) = spans.get_finished_spans()
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [PARENT[3:35], OTHER[3:35]]


def test_a_failure_is_marked_without_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="hunter2"), tracing.span("outer"):
        raise ValueError("password hunter2")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "hunter2" not in span.to_json()


def test_a_malformed_parent_begins_a_new_trace(spans: InMemorySpanExporter) -> None:
    with tracing.span("outer", parent="00-zz-1"):
        pass
    assert spans.get_finished_spans()[0].parent is None


def test_without_an_sdk_nothing_is_made() -> None:
    assert not tracing.enabled()
    assert tracing.traceparent() is None
    assert tracing.span("route", "server", parent=PARENT, service="orders") is tracing.span("other")


def test_the_sdk_is_not_imported() -> None:
    code = "import sys, freehold.observe.tracing; sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
