"""Payments that do not go smoothly: gateway errors, webhooks, refunds that fail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from systems.booking_rush.payment.contract import PaymentCompleted, PaymentFailed, PaymentRefunded
from systems.booking_rush.payment.tables import Payment, WebhookReceipt
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import Person, problem
from tests.systems.booking_rush.stage import Stage, open_stage


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


@pytest.fixture
async def event(stage: Stage) -> dict[str, Any]:
    return await stage.event(await stage.person("organizer"), seats=(10,), price=1000.0)


@pytest.fixture
async def buyer(stage: Stage) -> Person:
    return await stage.person()


@pytest.fixture
async def booking_id(stage: Stage, event: dict[str, Any], buyer: Person) -> str:
    return await stage.held(buyer, event, 2)


async def test_a_flaky_gateway_is_asked_again(stage: Stage, buyer: Person, booking_id: str) -> None:
    paid = (await stage.pay(buyer, booking_id, "tok_flaky")).json()
    assert paid["status"] == "processing"
    await stage.world.advance(seconds=1)
    assert (await stage.payment(booking_id)).status == "processing"
    await stage.world.advance(seconds=2)
    await stage.world.run_due()
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.retry_count, payment.card_token) == ("succeeded", 2, None)
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert stage.gateway.charged == {payment.id: 200_000}


async def test_an_error_on_every_try_fails_the_payment(stage: Stage, buyer: Person, booking_id: str) -> None:
    await stage.pay(buyer, booking_id, "tok_error")
    for seconds in (1, 2, 4):
        assert (await stage.payment(booking_id)).status == "processing"
        await stage.world.advance(seconds=seconds)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.error_code, payment.retry_count) == ("failed", "GATEWAY_ERROR", 3)
    assert (await stage.booking(booking_id)).status_reason == "payment_failed"
    assert stage.gateway.charged == {}


async def test_a_gateway_that_never_answers_is_settled_by_the_sweeper(
    stage: Stage, buyer: Person, booking_id: str
) -> None:
    await stage.pay(buyer, booking_id, "tok_timeout")
    for seconds in (1, 2, 4, 30):
        await stage.world.advance(seconds=seconds)
        assert (await stage.payment(booking_id)).status == "processing"
    await stage.world.advance(minutes=2, seconds=30)
    assert (await stage.payment(booking_id)).status == "failed"
    assert len(await stage.world.published(PaymentFailed)) == 1


async def test_a_declined_card_is_final(stage: Stage, buyer: Person, booking_id: str) -> None:
    answer = await stage.pay(buyer, booking_id, "tok_fraud")
    assert answer.json()["error_code"] == "fraud_detected"
    problem(await stage.pay(buyer, booking_id), 409, "INVALID_STATUS")


async def test_a_card_number_is_kept_nowhere(stage: Stage, buyer: Person, booking_id: str) -> None:
    payment = await stage.payment(booking_id)
    card: dict[str, Any] = {"card_number": "5555 5555 5555 4444", "exp_month": 12, "exp_year": 2031, "cvc": "987"}
    answer = await stage.act(f"/payments/{payment.id}/process", buyer, **card)
    assert (answer.json()["card_brand"], answer.json()["card_last_four"]) == ("mastercard", "4444")
    await stage.world.run_due()
    for unit in stage.world.process.units.values():
        async with unit.host.engine.read() as connection:
            for metadata in (unit.host.service.metadata, unit.host.tables.metadata):
                for table in metadata.sorted_tables:
                    for row in await connection.execute(select(table)):
                        assert "555555555555" not in str(row).replace(" ", "")
                        assert "'987'" not in str(row)
    problem(
        await stage.act(f"/payments/{payment.id}/process", buyer, card_number="4242424242424242"),
        400,
        "VALIDATION_ERROR",
    )


async def test_a_failing_refund_is_tried_until_it_succeeds(stage: Stage, buyer: Person, booking_id: str) -> None:
    await stage.pay(buyer, booking_id, "tok_refund_flaky")
    await stage.world.run_due()
    payment = await stage.payment(booking_id)
    answer = await stage.act(f"/payments/{payment.id}/refund", buyer)
    assert answer.json()["status"] == "refund_pending"
    problem(await stage.act(f"/payments/{payment.id}/refund", buyer), 409, "INVALID_STATUS")
    for _ in range(4):
        await stage.world.advance(seconds=10)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.refund_attempts) == ("refunded", 2)
    assert stage.gateway.charged == {payment.id: 0}
    assert len(await stage.world.published(PaymentRefunded)) == 1
    assert (await stage.booking(booking_id)).status == "cancelled"


# --- paying by POST /payments -----------------------------------------------------------------------------------------


async def test_a_client_claims_the_pending_payment_once(stage: Stage, buyer: Person, booking_id: str) -> None:
    body: dict[str, Any] = {"booking_id": booking_id, "amount": 2000.0, "currency": "THB", "method": "promptpay"}
    stranger = await stage.person()
    problem(await stage.act("/payments", stranger, **body), 403, "FORBIDDEN")
    problem(await stage.act("/payments", buyer, **body | {"amount": 1999.99}), 400, "AMOUNT_MISMATCH")
    problem(await stage.act("/payments", buyer, **body | {"amount": 2000.001}), 400, "VALIDATION_ERROR")
    problem(await stage.act("/payments", buyer, **body | {"booking_id": str(buyer.id)}), 404, "BOOKING_NOT_FOUND")
    claimed = await stage.act("/payments", buyer, **body)
    assert (claimed.status_code, claimed.json()["method"]) == (201, "promptpay"), claimed.text
    assert claimed.json()["id"] == str((await stage.payment(booking_id)).id)
    problem(await stage.act("/payments", buyer, **body), 409, "PAYMENT_EXISTS")


async def test_a_claim_with_auto_process_confirms_the_booking(stage: Stage, buyer: Person, booking_id: str) -> None:
    body: dict[str, Any] = {"booking_id": booking_id, "amount": 2000.0, "currency": "THB", "method": "wallet"}
    paid = await stage.act("/payments?auto_process=true", buyer, **body)
    assert (paid.status_code, paid.json()["status"]) == (201, "succeeded"), paid.text
    await stage.world.run_due()
    assert (await stage.booking(booking_id)).status == "confirmed"


async def test_a_cancelled_payment_is_not_processed(stage: Stage, buyer: Person, booking_id: str) -> None:
    payment = await stage.payment(booking_id)
    assert (await stage.act(f"/payments/{payment.id}/cancel", buyer)).json()["status"] == "cancelled"
    problem(await stage.pay(buyer, booking_id), 409, "INVALID_STATUS")


# --- webhooks ---------------------------------------------------------------------------------------------------------


def told(
    payment: Payment, *, amount: int = 200_000, kind: str = "payment_intent.succeeded", id: str = "evt_1"
) -> bytes:
    intent = {"id": "sim_hook", "status": "succeeded", "amount": amount, "metadata": {"payment_id": str(payment.id)}}
    return json.dumps({"id": id, "type": kind, "data": {"object": intent}}).encode()


async def hook(stage: Stage, body: bytes, signature: str | None = None) -> httpx.Response:
    headers = {"X-Sim-Signature": stage.gateway.sign(body) if signature is None else signature}
    answer = await stage.http.post("/api/v1/webhooks/simulated", content=body, headers=headers)
    await stage.world.settle()
    await stage.world.run_due()
    return answer


async def test_a_webhook_that_overtakes_the_client_completes_the_payment_once(stage: Stage, booking_id: str) -> None:
    payment = await stage.payment(booking_id)
    for _ in range(2):
        answer = await hook(stage, told(payment))
        assert (answer.status_code, answer.json()["received"]) == (200, True), answer.text
    assert (await stage.payment(booking_id)).status == "succeeded"
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert len(await stage.world.published(PaymentCompleted)) == 1


async def test_a_webhook_needs_its_signature(stage: Stage, booking_id: str) -> None:
    body = told(await stage.payment(booking_id))
    good = stage.gateway.sign(body)
    for signature in ("", "t=1,v1=00", good[:-1] + ("0" if good[-1] != "0" else "1")):
        problem(await hook(stage, body, signature), 400, "INVALID_SIGNATURE")
    problem(await hook(stage, body + b" ", good), 400, "INVALID_SIGNATURE")
    problem(await hook(stage, b"{"), 400, "INVALID_SIGNATURE")
    stage.world.clock.advance(seconds=301)
    problem(await hook(stage, body, good), 400, "INVALID_SIGNATURE")
    assert (await stage.payment(booking_id)).status in ("pending", "cancelled")


async def test_a_webhook_of_another_amount_completes_nothing(stage: Stage, booking_id: str) -> None:
    assert (await hook(stage, told(await stage.payment(booking_id), amount=1))).status_code == 200
    assert (await stage.payment(booking_id)).status == "pending"
    async with stage.world.work("payment").transaction(readonly=True) as tx:
        receipt = await tx.find(WebhookReceipt, WebhookReceipt.event_id == "evt_1")
    assert receipt is not None
    assert receipt.outcome == "amount_mismatch"


async def test_other_webhooks_are_taken_and_left_alone(stage: Stage, booking_id: str) -> None:
    answer = await hook(stage, told(await stage.payment(booking_id), kind="customer.created"))
    assert answer.json() == {"received": True, "message": "Event type not handled"}
