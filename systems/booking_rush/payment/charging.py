"""Calling the gateway: between transactions, never inside one."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import UUID

from freehold import Work
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.gateway import ChargeOrder, GatewayError, PaymentGateway, smallest_unit
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.tables import Payment


async def charge(payment_id: UUID, work: Work, gateway: PaymentGateway) -> Payment:
    """Charge a processing payment, and keep what came of it."""
    payment = await _read(payment_id, work)
    if payment.status != "processing":
        return payment  # a repeated request finds it charged
    try:
        async with asyncio.timeout(work.use(PaymentSettings).gateway_timeout_seconds):
            transaction = await gateway.charge(order_of(payment))
    except (GatewayError, TimeoutError) as error:
        return await work.run(partial(lifecycle.try_later, payment_id, error))
    return await work.run(partial(lifecycle.settle, payment_id, transaction))


def order_of(payment: Payment) -> ChargeOrder:
    """What the gateway is to charge."""
    return ChargeOrder(
        payment_id=payment.id,
        booking_id=payment.booking_id,
        user_id=payment.user_id,
        amount=smallest_unit(payment.amount),
        currency=payment.currency,
        card_token=payment.card_token,
        intent_id=payment.gateway_payment_id,
        attempt=payment.retry_count,
    )


async def give_back(payment_id: UUID, work: Work, gateway: PaymentGateway) -> Payment:
    """Have the gateway give back what is to be given back, and keep what came of it."""
    payment = await _read(payment_id, work)
    if payment.status != "refund_pending" or payment.refund_amount is None or payment.gateway_payment_id is None:
        return payment
    try:
        async with asyncio.timeout(work.use(PaymentSettings).gateway_timeout_seconds):
            if payment.gateway != gateway.name:
                raise GatewayError(f"it was charged through {payment.gateway}, and {gateway.name} cannot give it back")
            await gateway.refund(
                payment.gateway_payment_id, smallest_unit(payment.refund_amount), key=f"refund:{payment.id}"
            )
    except (GatewayError, TimeoutError) as error:
        return await work.run(partial(lifecycle.refund_later, payment_id, error))
    return await work.run(partial(lifecycle.finish_refund, payment_id))


async def inquire(payment_id: UUID, work: Work, gateway: PaymentGateway) -> Payment:
    """Ask the gateway what became of a payment that nobody finished; one that it never charged has failed."""
    async with asyncio.timeout(work.use(PaymentSettings).gateway_timeout_seconds):
        transaction = await gateway.get_transaction(payment_id)
    if transaction is not None:
        return await work.run(partial(lifecycle.settle, payment_id, transaction))
    return await work.run(partial(lifecycle.give_up, payment_id))


async def close(payment_id: UUID, work: Work, gateway: PaymentGateway) -> None:
    """Have the gateway take nothing any more for a payment that was given up; what it has taken goes back."""
    payment = await _read(payment_id, work)
    if payment.gateway_payment_id is None or payment.gateway != gateway.name:
        return
    async with asyncio.timeout(work.use(PaymentSettings).gateway_timeout_seconds):
        intent = await gateway.cancel_intent(payment.gateway_payment_id)
    await work.run(partial(lifecycle.closed, payment_id, intent.transaction))


async def _read(payment_id: UUID, work: Work) -> Payment:
    async with work.transaction(readonly=True) as tx:
        payment = await tx.get(Payment, payment_id)
    if payment is None:
        raise LookupError(f"there is no payment {payment_id}")
    return payment
