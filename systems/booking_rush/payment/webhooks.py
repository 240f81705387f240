"""What the gateway tells on its own account."""

from __future__ import annotations

import logging

from fastapi import Request
from pydantic import BaseModel

from freehold import Problem, Tx, Work, signature
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import InvalidWebhook, PaymentGateway, Webhook, smallest_unit
from systems.booking_rush.payment.tables import Payment, WebhookReceipt

log = logging.getLogger(__name__)


class Received(BaseModel):
    received: bool = True
    message: str | None = None


@payment.post("/webhooks/simulated", access=signature, idempotency="none")
async def simulated_webhook(request: Request, work: Work, gateway: PaymentGateway) -> Received:
    """A webhook of the simulated gateway; the same event twice has one effect."""
    return await receive(await request.body(), request.headers.get("X-Sim-Signature"), work, gateway)


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
            if outcome != "taken":
                await _note(gateway.name, webhook, outcome, tx)

    await work.run(once)
    return Received()


async def _apply(webhook: Webhook, tx: Tx) -> str:
    found = None if webhook.payment_id is None else await tx.get(Payment, webhook.payment_id, lock=True)
    if found is None or webhook.transaction is None:
        return "unknown_payment"
    if webhook.kind == "refunded":
        await lifecycle.finish_refund(found.id, tx)
    elif webhook.kind == "succeeded" and webhook.transaction.amount != smallest_unit(found.amount):
        log.error("payment %s: a webhook tells of %s, not %s", found.id, webhook.transaction.amount, found.amount)
        return "amount_mismatch"
    else:
        await lifecycle.settle(found.id, webhook.transaction, tx)
    return "taken"


async def _note(gateway: str, webhook: Webhook, outcome: str, tx: Tx) -> None:
    receipt = await tx.get(WebhookReceipt, (gateway, webhook.id))
    if receipt is not None:
        receipt.outcome = outcome
