"""What the gateway tells on its own account."""

from __future__ import annotations

from fastapi import Request
from pydantic import BaseModel

from freehold import Problem, Tx, Work, signature
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import InvalidWebhook, PaymentGateway, Webhook
from systems.booking_rush.payment.review import put_before_people
from systems.booking_rush.payment.tables import Payment, WebhookReceipt


class Received(BaseModel):
    received: bool = True
    message: str | None = None


@payment.post("/webhooks/simulated", access=signature, idempotency="none")
async def simulated_webhook(request: Request, work: Work, gateway: PaymentGateway) -> Received:
    """A webhook of the simulated gateway; the same event twice has one effect."""
    _check_gateway(gateway, "simulated")
    return await receive(await request.body(), request.headers.get("X-Sim-Signature"), work, gateway)


@payment.post("/webhooks/stripe", access=signature, idempotency="none")
async def stripe_webhook(request: Request, work: Work, gateway: PaymentGateway) -> Received:
    """A webhook of Stripe's; the same event twice has one effect."""
    _check_gateway(gateway, "stripe")
    return await receive(await request.body(), request.headers.get("Stripe-Signature"), work, gateway)


def _check_gateway(gateway: PaymentGateway, name: str) -> None:
    if gateway.name != name:
        raise Problem(400, "INVALID_SIGNATURE", f"Payments do not go through {name} here, so it has nothing to tell")


async def receive(body: bytes, signed: str | None, work: Work, gateway: PaymentGateway) -> Received:
    """Take a webhook. Raises Problem when it is not the gateway's."""
    try:
        webhook = gateway.verify_webhook(body, signed)
    except InvalidWebhook as error:
        raise Problem(400, "INVALID_SIGNATURE", f"This is no webhook of ours: {error}") from None
    if webhook.kind is None:
        return Received(message="Event type not handled")

    async def once(tx: Tx) -> None:
        row = {
            "gateway": gateway.name, "event_id": webhook.id, "type": webhook.type, "outcome": "taken",
            "received_at": tx.now(),
        }  # fmt: skip
        if await tx.insert_new(WebhookReceipt, [row], key=["gateway", "event_id"]):
            outcome = await _apply(webhook, tx)
            receipt = await tx.get(WebhookReceipt, (gateway.name, webhook.id))
            if receipt is not None:
                receipt.outcome = outcome

    await work.run(once)
    return Received()


async def _apply(webhook: Webhook, tx: Tx) -> str:
    """What became of it, as its receipt keeps it."""
    told, payment_id = webhook.transaction, webhook.payment_id
    found = None if payment_id is None else await tx.get(Payment, payment_id, lock=True)
    if payment_id is None:
        return "not_ours"
    if found is None:
        if told is not None and told.status == "succeeded":
            put_before_people(payment_id, told, tx)
        return "unknown_payment"
    if webhook.kind == "refunded":
        await lifecycle.note_refund(found.id, webhook.refunded, tx)
    elif told is not None and not lifecycle.take_or_review(found, told, tx):
        return "put_before_people"
    return "taken"
