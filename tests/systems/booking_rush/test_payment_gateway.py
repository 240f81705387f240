"""Payments that do not go smoothly: gateway errors, webhooks, refunds that fail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from systems.booking_rush import demo
from systems.booking_rush.payment.contract import PaymentCompleted, PaymentFailed, PaymentRefunded
from systems.booking_rush.payment.tables import Payment
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


async def test_a_charge_of_another_amount_completes_nothing_and_is_put_before_people(
    stage: Stage, booking_id: str
) -> None:
    payment = await stage.payment(booking_id)
    for _ in range(2):
        assert (await hook(stage, told(payment, amount=1))).status_code == 200
    await hook(stage, told(payment, amount=1, id="evt_2"))  # of the same charge
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.error_code) == ("pending", "AMOUNT_MISMATCH")
    assert await stage.world.published(PaymentCompleted) == []
    dead = stage.world.process.units["payment"].dead_letters
    (letter,) = await dead.list()
    assert letter.event_type == "payment.review_charge"
    assert letter.error.endswith("1 THB was charged, not 200000 THB, in the smallest unit")
    await dead.replay(letter.id, by="ann@example.com")
    await stage.world.run_due()
    (letter,) = await dead.list()  # as nothing was mended
    await dead.discard(letter.id, by="ann@example.com")
    await hook(stage, told(payment, id="evt_3"))  # now the whole amount came
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.error_code) == ("succeeded", None)


async def test_a_second_charge_of_one_payment_and_one_of_no_payment_are_put_before_people(
    stage: Stage, buyer: Person, booking_id: str
) -> None:
    await stage.pay(buyer, booking_id)
    payment = await stage.payment(booking_id)
    await hook(stage, told(payment))
    assert (await stage.payment(booking_id)).error_code is None
    payment.id = buyer.id
    await hook(stage, told(payment, id="evt_2"))
    dead = stage.world.process.units["payment"].dead_letters
    letters = await dead.list()
    assert [letter.error.partition(": payment ")[2].partition(": ")[2][:25] for letter in letters] == [
        "it is succeeded by sim_01",
        "there is no such payment",
    ]
    for letter in letters:
        await dead.discard(letter.id, by="ann@example.com")


@pytest.mark.parametrize("ended", ["cancelled", "failed"])
async def test_a_payment_that_was_given_up_and_charged_all_the_same_goes_back(
    stage: Stage, buyer: Person, booking_id: str, ended: str
) -> None:
    payment = await stage.payment(booking_id)
    paid: dict[str, Any] = {"booking_id": booking_id, "amount": 2000.0, "currency": "THB"}
    intent = (await stage.act("/payments/intent", buyer, **paid)).json()
    if ended == "cancelled":
        await stage.act(f"/payments/{payment.id}/cancel", buyer)
    else:
        failure = json.loads(told(payment, kind="payment_intent.payment_failed", id="evt_0"))
        failure["data"]["object"] |= {"id": intent["payment_intent_id"], "status": "requires_payment_method"}
        body = json.dumps(failure).encode()  # not by `hook`: the sweeper would close the intent
        headers = {"X-Sim-Signature": stage.gateway.sign(body)}
        await stage.http.post("/api/v1/webhooks/simulated", content=body, headers=headers)
    assert (await stage.payment(booking_id)).status == ended
    confirmed = await stage.act(
        "/payments/intent/confirm", buyer, payment_id=intent["payment_id"],
        payment_intent_id=intent["payment_intent_id"],
    )  # fmt: skip
    assert (confirmed.json()["status"], confirmed.json()["stripe_status"]) == ("refund_pending", "succeeded")
    await stage.world.advance(seconds=5)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.refund_amount, payment.refund_reason) == (
        "refunded", payment.amount, "booking_not_confirmable",
    )  # fmt: skip
    assert stage.gateway.charged == {payment.id: 0}
    assert await stage.world.published(PaymentCompleted) == []


async def test_a_payment_that_was_given_up_cannot_be_paid_any_more(
    stage: Stage, buyer: Person, booking_id: str
) -> None:
    intent = (await stage.act("/payments/intent", buyer, booking_id=booking_id, amount=2000.0)).json()
    await stage.act(f"/payments/{intent['payment_id']}/cancel", buyer)
    await stage.world.advance(seconds=30)
    which = {"payment_id": intent["payment_id"], "payment_intent_id": intent["payment_intent_id"]}
    confirmed = (await stage.act("/payments/intent/confirm", buyer, **which)).json()
    assert (confirmed["status"], confirmed["stripe_status"]) == ("cancelled", "requires_payment_method")
    assert stage.gateway.charged == {}


async def test_other_webhooks_are_taken_and_left_alone(stage: Stage, booking_id: str) -> None:
    answer = await hook(stage, told(await stage.payment(booking_id), kind="customer.created"))
    assert answer.json() == {"received": True, "message": "Event type not handled"}


# --- intents, methods and the portal of a gateway that has only the first ---------------------------------------------


async def test_the_flow_with_an_intent_can_be_tried_without_stripe(
    stage: Stage, buyer: Person, booking_id: str
) -> None:
    body: dict[str, Any] = {"booking_id": booking_id, "amount": 2000.0, "metadata": {"user_email": "a@example.com"}}
    problem(await stage.act("/payments/intent", await stage.person(), **body), 403, "FORBIDDEN")
    problem(await stage.act("/payments/intent", buyer, **body | {"amount": 1.0}), 400, "AMOUNT_MISMATCH")
    made = (await stage.act("/payments/intent", buyer, key="K", **body)).json()
    assert made == (await stage.act("/payments/intent", buyer, key="K", **body)).json()
    assert made == (await stage.act("/payments/intent", buyer, key="L", **body)).json()
    assert (made["payment_id"], made["status"]) == (str((await stage.payment(booking_id)).id), "pending")
    claim = {**body, "currency": "THB", "method": "wallet"}
    problem(await stage.act("/payments", buyer, **claim), 409, "PAYMENT_EXISTS")

    which = {"payment_id": made["payment_id"], "payment_intent_id": made["payment_intent_id"]}
    for wrong in ({"payment_id": str(buyer.id)}, {"payment_intent_id": "sim_other"}):
        problem(await stage.act("/payments/intent/confirm", buyer, **which | wrong), 404, "NOT_FOUND")
    problem(await stage.act("/payments/intent/confirm", await stage.person(), **which), 404, "NOT_FOUND")
    confirmed = await stage.act("/payments/intent/confirm", buyer, **which)
    assert confirmed.json() == {**which, "status": "succeeded", "stripe_status": "succeeded"}
    await stage.world.advance(seconds=1)  # the webhook of it changes nothing
    payment = await stage.payment(booking_id)
    assert stage.gateway.charged == {payment.id: 200_000}
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert len(await stage.world.published(PaymentCompleted)) == 1
    shown = (await stage.call("GET", f"/payments/{payment.id}", buyer)).json()["metadata"]
    assert shown.items() >= {"user_email": "a@example.com", "quantity": 2}.items()
    assert not shown.keys() & {"claimed", "refund_key"}


async def test_a_webhook_completes_an_intent_that_nobody_asked_about_again(
    stage: Stage, buyer: Person, booking_id: str
) -> None:
    await stage.act("/payments/intent", buyer, booking_id=booking_id, amount=2000.0)
    payment = await stage.payment(booking_id)
    assert payment.gateway_payment_id is not None
    await stage.gateway.confirm_intent(payment.gateway_payment_id)
    await stage.world.advance(seconds=1)
    await stage.world.run_due()
    assert (await stage.booking(booking_id)).status == "confirmed"


async def test_the_simulated_gateway_keeps_no_cards(stage: Stage, buyer: Person) -> None:
    assert (await stage.call("GET", "/payments/methods", buyer)).json() == {"payment_methods": [], "total": 0}
    problem(await stage.call("POST", "/payments/portal", buyer, return_url="https://x.example"), 501, "NOT_SUPPORTED")
    problem(await stage.call("POST", "/payments/portal", buyer, return_url="x"), 400, "VALIDATION_ERROR")
    body = b"{}"
    signed = {"Stripe-Signature": stage.gateway.sign(body)}
    problem(await stage.http.post("/api/v1/webhooks/stripe", content=body, headers=signed), 400, "INVALID_SIGNATURE")


# --- what is left behind ----------------------------------------------------------------------------------------------


async def test_completion_refund_and_cancel_leave_audit_rows(
    stage: Stage, event: dict[str, Any], buyer: Person
) -> None:
    kept, given_up = await stage.bought(buyer, event, 1), await stage.held(buyer, event, 1)
    payment, other = await stage.payment(kept), await stage.payment(given_up)
    await stage.act(f"/payments/{payment.id}/refund", buyer, reason="ill")
    await stage.act(f"/payments/{other.id}/cancel", buyer)
    host = stage.world.process.units["payment"].host
    async with host.engine.read() as connection:
        rows = (await connection.execute(select(host.tables.audit).order_by(host.tables.audit.c.id))).all()
    assert [(row.action, row.resource_id, row.before["status"], row.after["status"]) for row in rows] == [
        ("payment.completed", str(payment.id), "processing", "succeeded"),
        ("payment.refund_asked", str(payment.id), "succeeded", "refund_pending"),
        ("payment.refunded", str(payment.id), "refund_pending", "refunded"),
        ("payment.cancelled", str(other.id), "pending", "cancelled"),
    ]
    assert {(row.actor_id, row.tenant_id) for row in rows} == {(buyer.id, buyer.tenant)}
    assert rows[1].after["reason"] == "ill"


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
async def test_a_demo_payment_can_be_given_back(stage: Stage) -> None:
    works = {name: stage.world.work(name) for name in stage.world.process.units}
    await demo.demo(works, lambda *_: None, bookings=20)
    await stage.world.settle()
    admin = await stage.person("super_admin")
    async with works["payment"].transaction(readonly=True) as tx:
        paid = list(await tx.scalars(select(Payment).where(Payment.status == "succeeded")))
        back = list(await tx.scalars(select(Payment.id).where(Payment.status == "refunded")))
    answer = await stage.act(f"/payments/{paid[0].id}/refund", admin)
    assert (answer.status_code, answer.json()["status"]) == (200, "refunded"), answer.text
    assert stage.gateway.charged == {
        **{payment.id: int(payment.amount * 100) for payment in paid[1:]}, **dict.fromkeys([paid[0].id, *back], 0),
    }  # fmt: skip
