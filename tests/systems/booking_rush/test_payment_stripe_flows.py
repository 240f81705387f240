"""Booking Rush with payments through Stripe: the whole system, its public API, and a local server of Stripe's shape."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from systems.booking_rush.auth.tables import Account
from systems.booking_rush.payment.contract import PaymentCompleted, PaymentRefunded
from systems.booking_rush.payment.tables import CustomerDirectory
from tests.databases import Databases
from tests.stripe_server import StripeServer
from tests.systems.booking_rush.catalogue import Person, problem
from tests.systems.booking_rush.stage import Stage, open_stage

# What depends on the database is tested with the simulated gateway, on every kind.
pytestmark = pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
SECOND = 1.0
"""How long the gateway may take to answer here."""


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with StripeServer() as server:
        yield server


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path, stripe: StripeServer) -> AsyncIterator[Stage]:
    settings: dict[str, Any] = {
        "payment_gateway": "stripe", "stripe_api_base": stripe.url, "stripe_secret_key": stripe.secret_key,
        "stripe_webhook_secret": stripe.webhook_secret, "gateway_timeout_seconds": 5 * SECOND,
        "retry_waits_seconds": (1.0,),
    }  # fmt: skip
    async with open_stage(databases, tmp_path, **settings) as opened:
        stripe.clock = opened.world.clock
        yield opened


@pytest.fixture
async def buyer(stage: Stage) -> Person:
    return await stage.person(name="ann")


@pytest.fixture
async def booking_id(stage: Stage, buyer: Person) -> str:
    return await stage.held(buyer, await stage.event(await stage.person("organizer"), price=1000.0), 2)


async def intend(stage: Stage, buyer: Person, booking_id: str, key: str = "") -> dict[str, Any]:
    answer = await stage.act("/payments/intent", buyer, key=key, booking_id=booking_id, amount=2000.0)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def confirm(stage: Stage, buyer: Person, made: dict[str, Any]) -> dict[str, Any]:
    which = {name: made[name] for name in ("payment_id", "payment_intent_id")}
    answer = await stage.act("/payments/intent/confirm", buyer, **which)
    assert answer.status_code == 200, answer.text
    await stage.world.run_due()
    told: dict[str, Any] = answer.json()
    return told


async def told(stage: Stage, stripe: StripeServer, **more: Any) -> list[dict[str, Any]]:
    """What our route answers to the webhooks."""
    answers = await stripe.deliver(stage.http, **more)
    assert {answer.status_code for answer in answers} == {200}
    await stage.world.settle()
    await stage.world.run_due()
    return [answer.json() for answer in answers]


# --- cards ------------------------------------------------------------------------------------------------------------


async def test_a_card_is_charged_and_given_back_and_webhooks_change_nothing_more(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    paid = (await stage.pay(buyer, booking_id)).json()
    await stage.world.run_due()
    assert (paid["status"], paid["gateway"], paid["card_last_four"]) == ("succeeded", "stripe", "4242")
    assert paid["gateway_payment_id"] == stripe.intent_of(paid["id"])["id"]
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert len(await told(stage, stripe)) == 1
    refunded = (await stage.act(f"/payments/{paid['id']}/refund", buyer)).json()
    assert (refunded["status"], refunded["refund_amount"]) == ("refunded", 2000.0)
    assert len(await told(stage, stripe, again=True)) == 2
    assert stripe.charged == {paid["id"]: 0}
    for kind in (PaymentCompleted, PaymentRefunded):
        assert len(await stage.world.published(kind)) == 1


async def test_a_declined_card_is_final(stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str) -> None:
    answer = await stage.pay(buyer, booking_id, "tok_chargeDeclinedInsufficientFunds")
    assert (answer.json()["status"], answer.json()["error_code"]) == ("failed", "insufficient_funds")
    assert answer.json()["card_last_four"] == "9995"
    assert (await stage.booking(booking_id)).status_reason == "payment_failed"
    await told(stage, stripe)
    assert stripe.charged == {}


async def test_errors_on_every_try_fail_the_payment(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    stripe.fail("POST payment_intents", "error", times=2)
    assert (await stage.pay(buyer, booking_id)).json()["status"] == "processing"
    await stage.world.advance(seconds=1)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.error_code, payment.retry_count) == ("failed", "GATEWAY_ERROR", 1)


async def test_a_charge_whose_answers_are_lost_is_completed_by_the_sweeper_and_charged_once(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    stripe.fail("confirm", "silent")
    stripe.fail("confirm", "lost")
    assert (await stage.pay(buyer, booking_id)).json()["status"] == "processing"  # after five real seconds
    await stage.world.advance(seconds=1)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.next_attempt_at) == ("processing", None)
    stripe.fail("search", "error")
    await stage.world.advance(minutes=2, seconds=1)
    assert (await stage.payment(booking_id)).status == "processing"  # the gateway did not say
    await stage.world.advance(seconds=30)
    await stage.world.run_due()
    assert (await stage.payment(booking_id)).status == "succeeded"
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert stripe.charged == {str(payment.id): 200_000}


async def test_a_refund_whose_answer_is_lost_is_made_once(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    await stage.pay(buyer, booking_id)
    payment = await stage.payment(booking_id)
    stripe.fail("POST refunds", "lost")
    answer = await stage.act(f"/payments/{payment.id}/refund", buyer)
    assert answer.json()["status"] == "refund_pending"
    await stage.world.advance(seconds=10)
    assert (await stage.payment(booking_id)).status == "refunded"
    assert len(stripe.refunds) == 1


async def test_what_was_given_back_at_the_gateway_is_given_back_here(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    await stage.pay(buyer, booking_id)
    payment = await stage.payment(booking_id)
    intent = stripe.intent_of(payment.id)
    stripe.refund(intent["id"], 50_000)
    await told(stage, stripe)
    payment = await stage.payment(booking_id)
    assert (payment.status, str(payment.refund_amount)) == ("refunded", "500.00")
    assert (await stage.booking(booking_id)).status == "cancelled"


# --- the gateway's own form -------------------------------------------------------------------------------------------


async def test_an_intent_is_made_once_paid_in_the_form_and_completed_by_the_webhook(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    made = await intend(stage, buyer, booking_id, "K")
    assert made == await intend(stage, buyer, booking_id, "K") == await intend(stage, buyer, booking_id)
    intent = stripe.intent_of(made["payment_id"])
    assert (made["payment_intent_id"], made["client_secret"]) == (intent["id"], intent["client_secret"])
    assert (made["amount"], made["currency"], made["status"]) == (2000.0, "THB", "pending")
    early = await confirm(stage, buyer, made)
    assert (early["status"], early["stripe_status"]) == ("pending", "requires_payment_method")
    stripe.pay(intent["id"])
    assert await told(stage, stripe) == [{"received": True, "message": None}]
    assert (await stage.booking(booking_id)).status == "confirmed"
    late = await confirm(stage, buyer, made)
    assert (late["status"], late["stripe_status"]) == ("succeeded", "succeeded")
    assert (await stage.payment(booking_id)).card_last_four in ("4242", None)
    assert len(await stage.world.published(PaymentCompleted)) == 1


async def test_who_pays_in_the_form_and_by_card_pays_once(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    made = await intend(stage, buyer, booking_id)
    stripe.pay(made["payment_intent_id"], "tok_mastercard")
    assert (await stage.pay(buyer, booking_id)).json()["status"] == "succeeded"
    assert stripe.charged == {made["payment_id"]: 200_000}


async def test_who_pays_in_the_form_for_a_cancelled_payment_gets_it_back(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    made = await intend(stage, buyer, booking_id)
    await stage.act(f"/payments/{made['payment_id']}/cancel", buyer)
    stripe.pay(made["payment_intent_id"])
    await told(stage, stripe)
    await stage.world.advance(seconds=5)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.refund_amount) == ("refunded", payment.amount)
    assert stripe.charged == {made["payment_id"]: 0}
    await told(stage, stripe)


async def test_what_is_paid_in_the_form_as_the_hold_ends_goes_back_though_no_webhook_tells(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    made = await intend(stage, buyer, booking_id)
    stripe.pay(made["payment_intent_id"])
    stripe.fail("cancel", "error")
    for seconds in (601, 30, 30, 5):
        await stage.world.advance(seconds=seconds)
    assert (await stage.payment(booking_id)).status == "refunded"
    assert stripe.charged == {made["payment_id"]: 0}
    assert (await stage.booking(booking_id)).status == "expired"


async def test_after_the_hold_the_form_takes_nothing_any_more(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    made = await intend(stage, buyer, booking_id)
    for seconds in (601, 30):
        await stage.world.advance(seconds=seconds)
    assert stripe.intent_of(made["payment_id"])["status"] == "canceled"
    await told(stage, stripe)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.next_attempt_at) == ("cancelled", None)


async def test_a_gateway_that_does_not_answer_is_said_so(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    wish: dict[str, Any] = {"booking_id": booking_id, "amount": 2000.0}
    stripe.fail("POST", "error", times=2)
    problem(await stage.act("/payments/intent", buyer, key="K", **wish), 502, "GATEWAY_ERROR")  # the customer
    problem(await stage.act("/payments/intent", buyer, key="K", **wish), 502, "GATEWAY_ERROR")  # the customer again
    made = await intend(stage, buyer, booking_id, "K")
    stripe.fail("GET", "nonsense")
    which = {name: made[name] for name in ("payment_id", "payment_intent_id")}
    problem(await stage.act("/payments/intent/confirm", buyer, key="C", **which), 502, "GATEWAY_ERROR")
    assert (await stage.act("/payments/intent/confirm", buyer, key="C", **which)).status_code == 200
    stripe.fail("customers", "lost")
    problem(await stage.call("GET", "/payments/methods", buyer), 502, "GATEWAY_ERROR")


async def test_a_customer_is_made_once_and_known_to_auth(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    assert (await stage.call("GET", "/payments/methods", buyer)).json()["total"] == 0
    assert stripe.customers == {}
    await intend(stage, buyer, booking_id)
    opened = await stage.call("POST", "/payments/portal", buyer, return_url="https://shop.example/me")
    (customer,) = stripe.customers.values()
    assert opened.json()["url"].startswith(f"https://billing.example/{customer['id']}")
    assert customer["metadata"] == {"user_id": str(buyer.id)}
    assert customer["email"] == buyer.email
    async with stage.world.work("auth").transaction(readonly=True) as tx:
        account = await tx.get(Account, buyer.id)
    async with stage.world.work("payment").transaction(readonly=True) as tx:
        copied = await tx.get(CustomerDirectory, buyer.id)
    assert account is not None
    assert copied is not None
    assert account.stripe_customer_id == copied.stripe_customer_id == customer["id"]
    method = stripe.save_card(customer["id"], "tok_mastercard", default=True)
    assert (await stage.call("GET", "/payments/methods", buyer)).json() == {
        "payment_methods": [
            {"id": method, "type": "card", "brand": "mastercard", "last4": "4444", "exp_month": 12, "exp_year": 2031,
             "is_default": True}
        ],
        "total": 1,
    }  # fmt: skip


# --- webhooks ---------------------------------------------------------------------------------------------------------


async def test_webhooks_of_others_and_of_other_amounts_complete_nothing(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str
) -> None:
    made = await intend(stage, buyer, booking_id)
    intent = {**stripe.intent_of(made["payment_id"]), "status": "succeeded"}
    event = {"id": "evt_x", "type": "payment_intent.succeeded", "data": {"object": intent}}
    problem(await stripe.send(stage.http, event, secret="whsec_wrong"), 400, "INVALID_SIGNATURE")
    other = await stripe.send(stage.http, {**event, "type": "customer.created"})
    assert other.json() == {"received": True, "message": "Event type not handled"}
    foreign = {**intent, "metadata": {}}
    assert (await stripe.send(stage.http, {**event, "id": "evt_y", "data": {"object": foreign}})).status_code == 200
    wrongs: list[dict[str, Any]] = [{"amount": 1}, {"currency": "jpy"}]
    for number, wrong in enumerate(wrongs):
        sent = {**event, "id": f"evt_{number}", "data": {"object": {**intent, **wrong, "id": f"pi_{number}"}}}
        assert (await stripe.send(stage.http, sent)).json() == {"received": True, "message": None}
    await stage.world.settle()
    assert (await stage.payment(booking_id)).status == "pending"
    dead = stage.world.process.units["payment"].dead_letters
    letters = await dead.list()
    assert {letter.event_type for letter in letters} == {"payment.review_charge"}
    assert len(letters) == 2
    for letter in letters:
        await dead.discard(letter.id, by="ann@example.com")
    problem(await stage.http.post("/api/v1/webhooks/simulated", json={}), 400, "INVALID_SIGNATURE")


# --- secrets ----------------------------------------------------------------------------------------------------------


async def test_nothing_that_is_written_has_a_card_a_token_or_a_secret_in_it(
    stage: Stage, stripe: StripeServer, buyer: Person, booking_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    card: dict[str, Any] = {"card_number": "5555 5555 5555 4444", "exp_month": 12, "exp_year": 2031, "cvc": "987"}
    event = await stage.event(await stage.person("organizer"), price=1000.0)
    answers = []
    made = await intend(stage, buyer, booking_id, "K")
    stripe.fail("confirm", "error after")
    answers.append(await stage.pay(buyer, booking_id, "tok_visa"))
    for token in ("tok_chargeDeclined", "tok_" + 100 * "x"):
        payment = await stage.payment(await stage.held(buyer, event))
        answers.append(await stage.act(f"/payments/{payment.id}/process", buyer, card_token=token))
    for number in ("5555 5555 5555 4444", "4111 1111 1111 1111"):
        path = f"/payments/{payment.id}/process"
        answers.append(await stage.act(path, buyer, **{**card, "card_number": number}))
    await stage.call("POST", "/payments/portal", buyer, return_url="https://shop.example/me")
    for token, key in (("tok_visa", "S"), ("tok_visa", "S"), ("tok_" + 100 * "x", "T")):
        wish = {"event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"]}
        answers.append(
            await stage.act("/saga/bookings", buyer, key=key, **wish, quantity=3, total_price=3000.0, card_token=token)
        )
    await told(stage, stripe)
    for _ in range(2):
        await stage.world.advance(seconds=1)
    assert [answer.status_code for answer in answers] == [200, 200, 400, 200, 400, 202, 202, 400]
    assert sorted(stripe.charged.values()) == [100_000, 200_000, 300_000]

    written = [caplog.text, *(answer.text for answer in answers)]
    for unit in stage.world.process.units.values():
        for metadata in (unit.host.service.metadata, unit.host.tables.metadata):
            for table in metadata.sorted_tables:
                async with unit.host.engine.read() as connection:
                    written += [str(row) for row in await connection.execute(select(table))]
    everything = "\n".join(written).replace("5555 5555", "55555555")
    assert "4444" in everything  # the last four, so that it is there to be found
    assert made["payment_intent_id"] in everything
    for secret in (
        "55555555", "4111 1111", "'987'", "tok_", made["client_secret"], stripe.secret_key, stripe.webhook_secret,
        "billing.example",
    ):  # fmt: skip
        assert secret not in everything, secret
