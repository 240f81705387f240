"""Metrics: the promised names, and labels that take few values."""

from __future__ import annotations

import pytest

from freehold.model.errors import DeclarationError
from freehold.observe.metrics import METRICS, Metrics, counter, gauge


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def lines(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if line.startswith(name)]


def test_requests_are_counted_by_template_and_status(metrics: Metrics) -> None:
    metrics.requested("orders", "GET", "/orders/{id}", 200, 0.004)
    metrics.requested("orders", "GET", "/orders/{id}", 404, 0.004)
    assert lines(metrics, "http_requests_total") == [
        'http_requests_total{method="GET",route="/orders/{id}",service="orders",status="200"} 1.0',
        'http_requests_total{method="GET",route="/orders/{id}",service="orders",status="404"} 1.0',
    ]
    assert (
        'http_request_duration_seconds_bucket{le="0.005",method="GET",route="/orders/{id}",service="orders"} 2.0'
        in lines(metrics, "http_request_duration_seconds_bucket")
    )


def test_clients_cannot_make_labels_up(metrics: Metrics) -> None:
    for number in range(100):
        metrics.requested("orders", f"X{number}", None, 404, 0.001)
    assert lines(metrics, "http_requests_total") == [
        'http_requests_total{method="OTHER",route="unmatched",service="orders",status="404"} 100.0'
    ]


def test_everything_promised_is_there(metrics: Metrics) -> None:
    metrics.published("orders", ["order.placed"] * 3)
    metrics.handled("stock", "reserve", [0.002, -1.0])
    metrics.failed("stock", "reserve")
    metrics.backlog("orders", pending=4, oldest_seconds=2.5, parked=1, dead={"publish": 2})
    metrics.saga("orders", "checkout", "completed")
    metrics.job_ran("orders", "tidy", 0.1)
    metrics.job_ran("orders", "tidy", 0.1, failed=True)
    metrics.coalesced("orders", "reserve", 40)
    metrics.called("orders", "GetItem", "answered", 0.01)
    metrics.breaker("orders", "stock", "open")
    metrics.view_lag("orders", "items", 3)
    text = metrics.render().decode()
    for line in (
        'freehold_events_published_total{event="order.placed",service="orders"} 3.0',
        'freehold_events_handled_total{handler="reserve",service="stock"} 2.0',
        'freehold_commit_to_handler_seconds_sum{handler="reserve",service="stock"} 0.002',
        'freehold_events_failed_total{handler="reserve",service="stock"} 1.0',
        'freehold_outbox_pending{service="orders"} 4.0',
        'freehold_outbox_oldest_seconds{service="orders"} 2.5',
        'freehold_parked_events{service="orders"} 1.0',
        'freehold_dead_letters{direction="publish",service="orders"} 2.0',
        'freehold_dead_letters{direction="consume",service="orders"} 0.0',
        'freehold_saga_total{saga="checkout",service="orders",state="completed"} 1.0',
        'freehold_job_runs_total{job="tidy",outcome="done",service="orders"} 1.0',
        'freehold_job_runs_total{job="tidy",outcome="failed",service="orders"} 1.0',
        'freehold_coalesced_batch_size_bucket{call="reserve",le="50.0",service="orders"} 1.0',
        'freehold_call_seconds_count{outcome="answered",query="GetItem",service="orders"} 1.0',
        'freehold_breaker_state{service="orders",target="stock"} 2.0',
        'freehold_view_lag_seconds{service="orders",view="items"} 3.0',
    ):
        assert f"\n{line}\n" in text


def test_the_process_tells_of_itself() -> None:
    assert lines(METRICS, "process_resident_memory_bytes")
    assert lines(METRICS, "python_gc_collections_total")


def test_a_system_s_own_metrics_are_made_once_and_shown_beside_the_others() -> None:
    orders = counter("test_orders", "Orders", "shop")
    assert counter("test_orders", "Orders", "shop") is orders
    orders.labels("main").inc(2)
    gauge("test_open_orders", "Open orders").set(7)
    shown = METRICS.render().decode()
    assert 'test_orders_total{shop="main"} 2.0' in shown
    assert "test_open_orders 7.0" in shown
    with pytest.raises(DeclarationError, match="test_orders: is a counter already"):
        gauge("test_orders", "Orders")
