"""Paying with the gateway's own form: it gets an intent, the customer pays there, and then one of us asks."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from freehold import Once, Problem, Tx, User, Work, not_found, user
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.api import claim, payable_booking
from systems.booking_rush.payment.bodies import ConfirmedOut, ConfirmIn, IntentIn, IntentOut, PaymentOut, gateway_error
from systems.booking_rush.payment.charging import order_of
from systems.booking_rush.payment.contract import PaymentStatus
from systems.booking_rush.payment.customers import customer_of
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import GatewayError, NotSupported, PaymentGateway
from systems.booking_rush.payment.tables import Payment


@payment.post(
    "/payments/intent",
    access=user,
    idempotency="required",
    invalid="VALIDATION_ERROR",
    errors=[403, 404, 409, 410, 502],
)
async def create_intent(body: IntentIn, work: Work, caller: User, once: Once, gateway: PaymentGateway) -> IntentOut:
    """Let the customer pay with the gateway's form; a payment that waits already is used again.

    The client secret is asked for anew when the request is repeated, since it is to be stored nowhere. The gateway has
    one intent for a payment, so that it is the same one.
    """
    claimed = await work.run(partial(_claim, body, caller), once=once)
    try:
        try:
            customer_id = await customer_of(caller, work, gateway)
        except NotSupported:
            customer_id = None
        async with work.transaction(readonly=True) as tx:
            found = await tx.get(Payment, claimed.id)
        if found is None:
            raise not_found("The payment")
        intent = await gateway.create_intent(order_of(found), customer_id)
    except GatewayError as error:
        raise gateway_error(error) from None
    await work.run(partial(_note_intent, claimed.id, gateway.name, intent.id))
    return IntentOut(
        payment_id=claimed.id,
        client_secret=intent.client_secret,
        payment_intent_id=intent.id,
        amount=claimed.amount,
        currency=claimed.currency,
        status=claimed.status,
    )


async def _claim(body: IntentIn, caller: User, tx: Tx) -> PaymentOut:
    booking = await payable_booking(body.booking_id, tx)
    if booking.user_id != caller.id:
        raise Problem(403, "FORBIDDEN", "This is somebody else's booking")
    return PaymentOut.of(await claim(body, booking, tx, metadata=body.metadata, again=True))


async def _note_intent(payment_id: UUID, gateway: str, intent_id: str, tx: Tx) -> None:
    found = await lifecycle.hold_payment(payment_id, tx)
    if found.gateway_payment_id is None:
        found.gateway, found.gateway_payment_id, found.updated_at = gateway, intent_id, tx.now()


@payment.post("/payments/intent/confirm", access=user, idempotency="required", errors=[404, 502])
async def confirm_intent(body: ConfirmIn, work: Work, caller: User, gateway: PaymentGateway) -> ConfirmedOut:
    """Ask what became of an intent, and settle the payment by it.

    Its steps may run again after a crash: the gateway confirms an intent once, and a payment is settled once. Should
    nobody ask again, a webhook tells.
    """
    async with work.transaction(readonly=True) as tx:
        found = await tx.get(Payment, body.payment_id)
    if found is None or found.user_id != caller.id or found.gateway_payment_id != body.payment_intent_id:
        raise not_found("The payment with this intent")
    try:
        intent = await gateway.confirm_intent(body.payment_intent_id)
    except GatewayError as error:
        raise gateway_error(error) from None
    status: PaymentStatus = found.status
    if intent.transaction is not None:
        status = (await work.run(partial(lifecycle.settle, found.id, intent.transaction))).status
    return ConfirmedOut(payment_id=found.id, status=status, payment_intent_id=intent.id, stripe_status=intent.status)
