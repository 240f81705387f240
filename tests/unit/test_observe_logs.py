"""Logs: a line for a record, what it is about on it, and no secrets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from freehold.observe import logs
from freehold.observe.redaction import HIDDEN, redact, redact_value

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
log = logging.getLogger("freehold.test")


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def records(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_piped_records_are_json_lines(output: io.StringIO) -> None:
    logs.configure_logging(stream=output)
    log.info("%s of %s", 1, 2, extra={"seats": 3})
    log.debug("not shown")
    (record,) = records(output)
    assert record.pop("timestamp").endswith("Z")
    assert record == {"event": "1 of 2", "level": "info", "logger": "freehold.test", "seats": 3}


def test_an_exception_stays_on_its_line(output: io.StringIO) -> None:
    logs.configure_logging(json=True, stream=output)
    try:
        raise ValueError(f"bad token {TOKEN}")
    except ValueError:
        log.exception("failed")
    (record,) = records(output)
    assert record["exception"].startswith("Traceback")
    assert record["exception"].endswith(f"ValueError: bad token {HIDDEN}")


def test_for_people_it_is_text(output: io.StringIO) -> None:
    logs.configure_logging(json=False, stream=output)
    with logs.about(service="orders", request_id="r-1"):
        log.warning("slow", extra={"password": "hunter2"})
    assert "slow" in output.getvalue()
    assert "service=orders" in output.getvalue()
    assert "request_id=r-1" in output.getvalue()
    assert "hunter2" not in output.getvalue()
    assert len(output.getvalue().splitlines()) == 1


async def test_what_is_bound_belongs_to_the_task(output: io.StringIO) -> None:
    logs.configure_logging(json=True, stream=output)

    async def handle(event_id: str) -> None:
        with logs.about(service="stock", event_id=event_id):
            await asyncio.sleep(0)
            log.info("handled")

    await asyncio.gather(handle("a"), handle("b"))
    log.info("after")
    assert [record.get("event_id") for record in records(output)] == ["a", "b", None]


@pytest.mark.parametrize(
    "secret",
    [
        f"Authorization: Bearer {TOKEN}",
        f"got {TOKEN} from it",
        "postgresql://orders:pa55w0rd@db:5432/orders",
        "password='pa55w0rd'",
        '{"new_password": "pa55w0rd", "name": "x"}',
        "refresh_token=pa55w0rd&x=1",
        "api-key: pa55w0rd",
        "card 4111 1111 1111 1111 declined",
        "card 4111111111111111",
        "-----BEGIN PRIVATE KEY-----\npa55w0rd\n-----END PRIVATE KEY-----",
    ],
)
def test_secrets_are_hidden(secret: str) -> None:
    shown = redact(secret)
    assert HIDDEN in shown
    for part in (TOKEN, "pa55w0rd", "4111"):
        assert part not in shown


@pytest.mark.parametrize(
    "harmless",
    [
        "order 0198c0de-7d2a-7cc3-98c4-dc0c0c07398f placed",
        "4111111111111112 is no card",
        "seats 12, total 1500.00, at 2030-01-01T12:00:00+00:00",
        "postgresql://orders@db/orders",
        "GET /api/v1/orders/{id} 200 in 3 ms",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert redact(harmless) == harmless


def test_named_values_are_hidden_however_deep() -> None:
    value = {"user": "a", "password": "b", "more": [{"access_token": "c", "pin": 4, "secret": {"x": 1}}], "token": None}
    assert redact_value("body", value) == {
        "user": "a", "password": HIDDEN, "more": [{"access_token": HIDDEN, "pin": 4, "secret": HIDDEN}], "token": None,
    }  # fmt: skip
    assert redact_value("x", b"raw") == HIDDEN
    assert redact_value("card_number", 4111111111111111) == HIDDEN
