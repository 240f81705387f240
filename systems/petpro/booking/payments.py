"""Calling the gateway: between transactions, never inside one; and what its word means for a payment."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from functools import partial
from uuid import UUID

from freehold import Problem, Tx, Work, not_found
from systems.petpro.booking.appointments import Held, fail, hold
from systems.petpro.booking.booking_bodies import NoticeIn
from systems.petpro.booking.contract import PaymentProcessed, PaymentRefunded
from systems.petpro.booking.finance import record_refunds
from systems.petpro.booking.metrics import STUBBORN_REFUNDS
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.rules import refund_wait
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.gateway import GatewayDown, PaymentGateway

log = logging.getLogger(__name__)


async def payment_of(payment_id: UUID, tx: Tx, *, lock: bool = False) -> Payment:
    """The payment. Raises Problem 404."""
    payment = await tx.get(Payment, payment_id, lock=lock)
    if payment is None:
        raise not_found("The payment", "PAYMENT_NOT_FOUND")
    return payment


# --- money comes in ---------------------------------------------------------------------------------------------------


async def open_session(payment_id: UUID, work: Work, gateway: PaymentGateway) -> None:
    """Ask for a place to pay at; while the gateway does not answer, the payment has none."""
    settings = work.use(BookingSettings)
    async with work.transaction(readonly=True) as tx:
        payment = await payment_of(payment_id, tx)
    sessions = payment.payment_details.get("sessions", 0)
    key = f"{payment_id}:{sessions}" if sessions else str(payment_id)
    for wait in (*settings.session_waits_seconds, None):
        try:
            async with asyncio.timeout(settings.gateway_timeout_seconds):
                session = await gateway.open_session(
                    key, payment.amount, payment.currency, payment.external_reference or str(payment_id)
                )
        except (GatewayDown, TimeoutError) as error:
            log.warning("payment %s has no session yet: %s", payment_id, error)
            if wait is not None:
                await asyncio.sleep(wait)
        else:
            await work.run(partial(_keep_session, payment_id, session.url))
            return


async def _keep_session(payment_id: UUID, url: str, tx: Tx) -> None:
    payment = await payment_of(payment_id, tx, lock=True)
    payment.note(tx.now(), url=url)


async def take_notice(notice: NoticeIn, tx: Tx) -> UUID:
    """Do what a webhook of the gateway means; the same again does nothing. The id of its payment.

    Raises Problem: 404 for an unknown payment, 400 for a wrong amount, which is noted.
    """
    known = Payment.id == notice.payment_id
    if notice.payment_id is None:
        known = Payment.external_reference == notice.external_reference
    found = await tx.find(Payment, known)
    if found is None:
        raise not_found("The payment", "PAYMENT_NOT_FOUND")
    held = await hold(found.booking_id, tx)
    payment = held.payment
    if notice.amount != payment.amount:
        mismatch = {"amount": f"{notice.amount:.2f}", "status": notice.status, "at": tx.now().isoformat()}
        payment.note(tx.now(), notes=[*payment.payment_details.get("notes", []), mismatch])
        raise Problem(400, "AMOUNT_MISMATCH", f"The payment is of {payment.amount} {payment.currency}", keep=True)
    if notice.status == "completed":
        _succeed(held, tx)
    else:
        fail(payment, notice.status, tx)
    return payment.id


def _succeed(held: Held, tx: Tx) -> None:
    """The money is there. The saga goes on with it; where there is nothing left to pay for, it goes back at once."""
    payment = held.payment
    if payment.is_paid:
        return
    payment.succeed(tx.now())
    tx.publish(
        PaymentProcessed(
            payment_id=payment.id, booking_id=payment.booking_id, external_reference=payment.external_reference,
            amount=payment.amount, currency=payment.currency, payment_method=payment.payment_method,
            status=payment.status, processed_at=tx.now(),
        )
    )  # fmt: skip
    if held.booking.status == "cancelled" or held.reservation.status != "pending":
        payment.ask_refund(payment.amount, "late_payment", tx.now())


# --- money goes back --------------------------------------------------------------------------------------------------


async def ask_refund(payment_id: UUID, amount: Decimal | None, reason: str, tx: Tx) -> None:
    """Owe the customer an amount of a payment; None: all that is left of it. Raises Problem 409 or 422."""
    held = await hold((await payment_of(payment_id, tx)).booking_id, tx)
    payment, left = held.payment, held.payment.amount - held.payment.asked_back
    if payment.status not in ("success", "partially_refunded") or not left:
        raise Problem(409, "NOT_REFUNDABLE", f"The payment is {payment.status}")
    if amount is not None and amount > left:
        raise Problem(422, "AMOUNT_TOO_HIGH", f"amount: {left} of the payment can go back")
    payment.ask_refund(left if amount is None else amount, reason, tx.now())
    await record_refunds(held.booking, payment.asked_back, tx)


async def give_back(payment_id: UUID, work: Work, gateway: PaymentGateway) -> None:
    """Have the gateway give back what is owed of a payment; what fails is tried again by the job."""
    while True:
        async with work.transaction(readonly=True) as tx:
            payment = await payment_of(payment_id, tx)
        due = payment.next_refund
        if payment.status != "refund_pending" or due is None:
            return
        key = f"refund:{payment_id}:{due['sequence']}"
        try:
            async with asyncio.timeout(work.use(BookingSettings).gateway_timeout_seconds):
                done = await gateway.refund(key, payment.external_reference or str(payment_id), Decimal(due["amount"]))
        except (GatewayDown, TimeoutError) as error:
            await work.run(partial(_refund_later, payment_id, str(error)))
            return
        await work.run(partial(_refunded, payment_id, due["sequence"], done.id))


async def _refund_later(payment_id: UUID, error: str, tx: Tx) -> None:
    payment, settings = await payment_of(payment_id, tx, lock=True), tx.use(BookingSettings)
    if payment.status != "refund_pending":
        return
    payment.refund_tries += 1
    wait = refund_wait(payment.refund_tries, settings.refund_first_wait_seconds, settings.refund_longest_wait_seconds)
    payment.refund_due_at, payment.updated_at = tx.now() + wait, tx.now()
    if payment.refund_tries >= settings.refund_alert_after:
        log.error("payment %s: the refund failed %s times: %s", payment_id, payment.refund_tries, error)
        tx.on_commit(STUBBORN_REFUNDS.inc)


async def _refunded(payment_id: UUID, sequence: int, id: str, tx: Tx) -> None:
    payment = await payment_of(payment_id, tx, lock=True)
    done = payment.finish_refund(sequence, id, tx.now())
    if done is not None:
        tx.publish(
            PaymentRefunded(
                payment_id=payment_id, booking_id=payment.booking_id, amount=Decimal(done["amount"]),
                refunded_total=payment.refunded_amount, currency=payment.currency, status=payment.status,
                reason=done["reason"], refunded_at=tx.now(),
            )
        )  # fmt: skip
