"""The Stripe adapter against a local server of that shape: what it makes of every answer, and of none."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from freehold import ConfigurationError, SystemClock, TimedSignature
from systems.booking_rush.payment.gateway import (
    Card,
    CardRefused,
    ChargeOrder,
    GatewayError,
    GatewayTimeout,
    InvalidWebhook,
)
from systems.booking_rush.payment.stripe import StripeGateway
from tests.stripe_server import Fault, StripeServer
from tests.unit.http.servers import unused_url


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with StripeServer() as server:
        yield server


@pytest.fixture
async def gateway(stripe: StripeServer) -> AsyncIterator[StripeGateway]:
    opened = open_gateway(stripe)
    yield opened
    await opened.aclose()


def open_gateway(stripe: StripeServer, **given: Any) -> StripeGateway:
    known = {"secret_key": stripe.secret_key, "webhook_secret": stripe.webhook_secret, "api_base": stripe.url}
    return StripeGateway(SystemClock(), **{**known, **given})


def order(token: str | None = "tok_visa", *, payment_id: UUID | None = None, **more: Any) -> ChargeOrder:
    return ChargeOrder(payment_id or uuid4(), uuid4(), uuid4(), 200_000, "THB", token, **more)


def again(first: ChargeOrder, attempt: int) -> ChargeOrder:
    return ChargeOrder(
        first.payment_id, first.booking_id, first.user_id, first.amount, first.currency, first.card_token,
        attempt=attempt,
    )  # fmt: skip


# --- charges ----------------------------------------------------------------------------------------------------------


async def test_a_payment_is_charged_once_however_often_it_is_ordered(
    stripe: StripeServer, gateway: StripeGateway
) -> None:
    first = order()
    answers = [await gateway.charge(again(first, attempt)) for attempt in (0, 0, 1)]
    assert answers[0] == answers[1] == answers[2] == await gateway.get_transaction(first.payment_id)
    charged = answers[0]
    assert (charged.status, charged.amount, charged.currency) == ("succeeded", 200_000, "THB")
    assert (charged.card_brand, charged.card_last_four) == ("visa", "4242")
    assert charged.charge_id is not None
    assert stripe.charged == {str(first.payment_id): 200_000}
    assert stripe.intent_of(first.payment_id)["metadata"] == {
        "payment_id": str(first.payment_id), "booking_id": str(first.booking_id), "user_id": str(first.user_id),
    }  # fmt: skip
    assert await gateway.get_transaction(uuid4()) is None


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_chargeDeclined", "card_declined"),
        ("tok_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("tok_chargeDeclinedExpiredCard", "expired_card"),
        ("tok_chargeDeclinedFraudulent", "fraud_detected"),
        (None, "payment_method_required"),
    ],
)
async def test_a_refused_card_is_declined_by_the_same_words_as_simulated_ones(
    stripe: StripeServer, gateway: StripeGateway, token: str | None, code: str
) -> None:
    wish = order(token)
    declined = await gateway.charge(wish)
    assert (declined.status, declined.code) == ("declined", code)
    assert stripe.charged == {}
    asked = await gateway.get_transaction(wish.payment_id)
    assert (asked.code if asked else "payment_method_required") == code


async def test_a_processing_error_may_be_gone_at_the_next_try(stripe: StripeServer, gateway: StripeGateway) -> None:
    wish = order("tok_chargeDeclinedProcessingError")
    with pytest.raises(GatewayError, match="processing_error") as raised:
        await gateway.charge(wish)
    assert not isinstance(raised.value, GatewayTimeout)
    assert await gateway.get_transaction(wish.payment_id) is None
    stripe.pay(stripe.intent_of(wish.payment_id)["id"])
    assert (await gateway.charge(again(wish, 1))).status == "succeeded"


@pytest.mark.parametrize("fault", ["lost", "error after", "garbage", "nonsense"])
async def test_of_a_charge_without_an_answer_nothing_is_known_until_it_is_asked_about(
    stripe: StripeServer, gateway: StripeGateway, fault: Fault
) -> None:
    wish = order()
    stripe.fail("confirm", fault)
    with pytest.raises(GatewayTimeout):
        await gateway.charge(wish)
    found = await gateway.get_transaction(wish.payment_id)
    assert found is not None
    assert found.status == "succeeded"
    assert await gateway.charge(again(wish, 1)) == found
    assert stripe.charged == {str(wish.payment_id): 200_000}


async def test_a_server_that_stays_silent_is_waited_for_so_long_only(stripe: StripeServer) -> None:
    gateway = open_gateway(stripe, timeout=0.5)
    stripe.fail("confirm", "silent")
    with pytest.raises(GatewayTimeout, match="ReadTimeout"):
        await gateway.charge(order())
    await gateway.aclose()


@pytest.mark.parametrize("fault", ["lost", "error", "garbage", "nonsense"])
async def test_before_the_charge_an_error_is_known_to_have_charged_nothing(
    stripe: StripeServer, gateway: StripeGateway, fault: Fault
) -> None:
    wish = order()
    stripe.fail("payment_intents", fault)
    with pytest.raises(GatewayError) as raised:
        await gateway.charge(wish)
    assert not isinstance(raised.value, GatewayTimeout)
    assert stripe.charged == {}
    assert (await gateway.charge(again(wish, 1))).status == "succeeded"
    assert stripe.intent_of(wish.payment_id)["status"] == "succeeded"


async def test_who_is_not_let_in_charges_nothing_and_tells_no_secret(
    stripe: StripeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for given in ({"secret_key": "sk_test_wrong"}, {"api_base": unused_url()}):
        gateway = open_gateway(stripe, **given)
        with pytest.raises(GatewayError) as raised:
            await gateway.charge(order())
        assert not isinstance(raised.value, GatewayTimeout)
        written = f"{raised.value!r} {gateway!r} {order()!r} {caplog.text}"
        for secret in ("sk_test_wrong", stripe.secret_key, stripe.webhook_secret, "tok_visa"):
            assert secret not in written
        await gateway.aclose()
    assert stripe.intents == {}


@pytest.mark.parametrize("missing", ["secret_key", "webhook_secret"])
def test_a_missing_secret_is_named_with_its_variable(missing: str) -> None:
    given: dict[str, Any] = {"secret_key": "s", "webhook_secret": "w", missing: ""}
    with pytest.raises(ConfigurationError, match=f"FREEHOLD_SERVICES__PAYMENT__SETTINGS__STRIPE_{missing.upper()}"):
        StripeGateway(SystemClock(), **given)


async def test_a_card_number_becomes_a_token_at_stripe(stripe: StripeServer, gateway: StripeGateway) -> None:
    token = await gateway.tokenize(Card("5555 5555 5555 4444", 12, 2031, "987"))
    assert token in stripe.methods
    assert (await gateway.charge(order(token))).card_brand == "mastercard"
    with pytest.raises(CardRefused, match="incorrect_number"):
        await gateway.tokenize(Card("4111", 12, 2031, "987"))


# --- giving back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "error after", "error", None])
async def test_a_refund_is_made_once_for_its_key(
    stripe: StripeServer, gateway: StripeGateway, fault: Fault | None
) -> None:
    wish = order()
    charged = await gateway.charge(wish)
    if fault is not None:
        stripe.fail("GET refunds", "garbage")  # the look whether it was made
        with pytest.raises(GatewayError):
            await gateway.refund(charged.id, 80_000, key="refund:1")
        stripe.fail("POST refunds", fault)
        with pytest.raises(GatewayError):
            await gateway.refund(charged.id, 80_000, key="refund:1")
    for _ in range(2):
        await gateway.refund(charged.id, 80_000, key="refund:1")
    assert stripe.charged == {str(wish.payment_id): 120_000}
    with pytest.raises(GatewayError, match="amount_too_large"):
        await gateway.refund(charged.id, 130_000, key="refund:2")
    await gateway.refund(charged.id, 120_000, key="refund:3")
    await gateway.refund(charged.id, 1, key="refund:4")  # nothing is left: whoever did it, it is back
    assert stripe.charged == {str(wish.payment_id): 0}


async def test_a_refund_that_is_under_way_is_not_done_and_one_that_failed_is_made_again(
    stripe: StripeServer, gateway: StripeGateway
) -> None:
    charged = await gateway.charge(order())
    await gateway.refund(charged.id, 80_000, key="refund:1")
    (refund,) = stripe.refunds.values()
    refund["status"] = "pending"
    with pytest.raises(GatewayError, match="pending"):
        await gateway.refund(charged.id, 80_000, key="refund:1")
    refund["status"] = "failed"
    await gateway.refund(charged.id, 80_000, key="refund:1")
    assert [each["status"] for each in stripe.refunds.values()] == ["failed", "succeeded"]


# --- the gateway's own form, customers --------------------------------------------------------------------------------


async def test_a_payment_has_one_intent_and_it_is_that_one_which_is_charged(
    stripe: StripeServer, gateway: StripeGateway
) -> None:
    wish, customer = order(), await gateway.create_customer(uuid4(), "ann@example.com", "Ann")
    made = await gateway.create_intent(wish, None)
    assert (made.status, made.transaction) == ("requires_payment_method", None)
    assert made.client_secret not in repr(made)
    known = order(payment_id=wish.payment_id, intent_id=made.id)
    for each in (wish, known):
        assert (await gateway.create_intent(each, customer)).client_secret == made.client_secret
    assert stripe.intent_of(wish.payment_id)["customer"] == customer
    assert (await gateway.confirm_intent(made.id)).transaction is None

    stripe.pay(made.id, "tok_mastercard")
    confirmed = await gateway.confirm_intent(made.id)
    assert confirmed.transaction == await gateway.charge(known)
    assert stripe.charged == {str(wish.payment_id): 200_000}


async def test_an_intent_that_waits_for_our_word_gets_it(stripe: StripeServer, gateway: StripeGateway) -> None:
    for token, status in (("tok_visa", "succeeded"), ("tok_chargeDeclined", "declined")):
        made = await gateway.create_intent(order(), None)
        method = await gateway.tokenize(Card("4242424242424242", 12, 2031, "987"))
        stripe.methods[method]["token"] = token
        stripe.intents[made.id] |= {"payment_method": method, "status": "requires_confirmation"}
        transaction = (await gateway.confirm_intent(made.id)).transaction
        assert transaction is not None
        assert transaction.status == status


async def test_a_user_is_one_customer_with_cards_and_a_portal(stripe: StripeServer, gateway: StripeGateway) -> None:
    user_id = uuid4()
    one, two = [await gateway.create_customer(user_id, "ann@example.com", "Ann") for _ in range(2)]
    assert one == two
    assert await gateway.list_methods(one) == []
    stripe.save_card(one, "tok_visa", default=False)
    stripe.save_card(one, "tok_mastercard", default=True)
    shown = await gateway.list_methods(one)
    assert [(each.brand, each.last4, each.is_default) for each in shown] == [
        ("visa", "4242", False), ("mastercard", "4444", True),
    ]  # fmt: skip
    assert one in await gateway.portal(one, "https://shop.example/me")
    with pytest.raises(GatewayError, match="resource_missing"):
        await gateway.list_methods("cus_/../../refunds")


# --- webhooks ---------------------------------------------------------------------------------------------------------


async def test_a_webhook_is_read_by_its_signature_only(stripe: StripeServer, gateway: StripeGateway) -> None:
    body = b'{"id": "evt_1", "type": "customer.created", "data": {"object": {"metadata": {"payment_id": "theirs"}}}}'
    signature = TimedSignature(stripe.webhook_secret).sign(body)
    read = gateway.verify_webhook(body, signature)
    assert (read.kind, read.payment_id) == (None, None)
    for sent, signed in ((body, None), (body + b" ", signature), (body, TimedSignature("wrong").sign(body))):
        with pytest.raises(InvalidWebhook):
            gateway.verify_webhook(sent, signed)
    for broken in (b"{", b"[]", b"{}", b'{"id": 1, "type": "payment_intent.succeeded", "data": {"object": {}}}'):
        with pytest.raises(InvalidWebhook):
            gateway.verify_webhook(broken, TimedSignature(stripe.webhook_secret).sign(broken))
