"""What the payment gateway says of orders, and where their customers pay."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Request
from pydantic import Field, ValidationError, model_validator

from freehold import InvalidSignature, MoneyNumber, Problem, Timestamp, Tx, Work, not_found, signature
from systems.petpro.bodies import Body
from systems.petpro.gateway import PaymentGateway
from systems.petpro.vendor.contract import PaymentNotice, TakePaymentNotice
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.order_tables import Order, OrderPayment
from systems.petpro.vendor.orders import hold_order, pay
from systems.petpro.vendor.refunds import refund_late


class Notice(Body):
    """What the gateway sends."""

    payment_id: UUID | None = None
    external_reference: Annotated[str, Field(max_length=100)] | None = None
    status: Literal["completed", "failed", "expired"]
    amount: MoneyNumber
    payment_method: str | None = None
    transaction_time: Timestamp | None = None

    @model_validator(mode="after")
    def _about_something(self) -> Notice:
        if self.payment_id is None and self.external_reference is None:
            raise ValueError("names neither payment_id nor external_reference")
        return self


@vendor.post("/orders/webhook/payment", access=signature, idempotency="none", errors=[400, 404])
async def webhook(request: Request, tx: Tx, gateway: PaymentGateway) -> PaymentNotice:
    """What became of an order's payment; the same word twice has one effect."""
    return await take(await request.body(), request.headers.get("X-Webhook-Signature"), tx, gateway)


@vendor.answers(TakePaymentNotice)
async def take_notice(query: TakePaymentNotice, tx: Tx, gateway: PaymentGateway) -> PaymentNotice:
    """The same, of a webhook that came to booking."""
    return await take(query.body.encode(), query.signature, tx, gateway)


async def take(body: bytes, signed: str | None, tx: Tx, gateway: PaymentGateway) -> PaymentNotice:
    """Raises Problem 400 when it is not the gateway's or names another amount, 404 when there is no such payment."""
    notice = _read(body, signed, gateway)
    which = OrderPayment.external_reference == notice.external_reference
    if notice.payment_id is not None:
        which = OrderPayment.id == notice.payment_id
    found = await tx.find(OrderPayment, which)
    if found is None:
        raise not_found("The payment", "PAYMENT_NOT_FOUND")
    order = await hold_order(found.order_id, tx)
    payment = order.payment
    assert payment is not None  # noqa: S101 - it was found a moment ago, and is never deleted
    if notice.amount != payment.amount:
        payment.note(f"{notice.status}: the gateway says {notice.amount}, not {payment.amount}")
        raise Problem(400, "AMOUNT_MISMATCH", f"The payment is of {payment.amount} {payment.currency}", keep=True)
    if notice.status == "completed":
        await _complete(order, payment, notice, tx)
    elif payment.status == "pending":
        payment.become("failed", tx.now())
    return PaymentNotice()


def _read(body: bytes, signed: str | None, gateway: PaymentGateway) -> Notice:
    try:
        gateway.verify(body, signed)
    except InvalidSignature:
        raise Problem(400, "INVALID_SIGNATURE", "The signature is not the gateway's") from None
    try:
        return Notice.model_validate_json(body)
    except ValidationError as error:
        errors = [
            {"field": ".".join(str(part) for part in each["loc"]), "problem": each["msg"]}
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Problem(400, "VALIDATION_ERROR", "The notice cannot be read", errors=errors) from None


async def _complete(order: Order, payment: OrderPayment, notice: Notice, tx: Tx) -> None:
    """The money is there. The gateway's word wins over an earlier one that the payment had failed."""
    if payment.status not in ("pending", "failed"):
        return
    payment.become("success", tx.now())
    payment.paid_at = notice.transaction_time or tx.now()
    payment.payment_method = notice.payment_method or payment.payment_method
    if order.status == "pending":
        pay(order, payment, tx)
    else:
        await refund_late(order, tx)


# --- where the customer pays ------------------------------------------------------------------------------------------


async def open_session(payment_id: UUID, work: Work, gateway: PaymentGateway) -> None:
    """Ask the gateway where the customer pays. Raises GatewayDown."""
    async with work.transaction(readonly=True) as tx:
        payment = await tx.get(OrderPayment, payment_id)
    if payment is None or payment.external_reference is None:
        return
    session = await gateway.open_session(str(payment.id), payment.amount, payment.currency, payment.external_reference)
    await work.run(partial(_keep_url, payment_id, session.url))


async def _keep_url(payment_id: UUID, url: str, tx: Tx) -> None:
    payment = await tx.get(OrderPayment, payment_id, lock=True)
    if payment is not None and payment.payment_url is None:
        payment.payment_url, payment.updated_at = url, tx.now()
