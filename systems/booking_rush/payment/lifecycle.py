"""What becomes of a payment, each step in the transaction that it is given."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from freehold import Problem, Tx, not_found, uuid7
from systems.booking_rush.booking.contract import BookingInfo, BookingReserved
from systems.booking_rush.payment.contract import PaymentMethod, PaymentReturned
from systems.booking_rush.payment.gateway import GatewayTimeout, Transaction, smallest_unit
from systems.booking_rush.payment.rules import refund_backoff, wait_before_retry
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.tables import Payment

log = logging.getLogger(__name__)
_SNAPSHOT = {
    "event_id", "event_name", "show_id", "show_date", "show_time", "zone_id", "zone_name", "quantity", "unit_price",
    "reservation_expires_at",
}  # fmt: skip


async def hold_payment(payment_id: UUID, tx: Tx) -> Payment:
    """The payment, locked. Raises Problem 404."""
    payment = await tx.get(Payment, payment_id, lock=True)
    if payment is None:
        raise not_found("The payment")
    return payment


async def hold_payment_of(booking_id: UUID, tx: Tx) -> Payment | None:
    """The booking's payment, locked."""
    return await tx.find(Payment, Payment.booking_id == booking_id, lock=True)


# --- it begins --------------------------------------------------------------------------------------------------------


async def open_payment(booking: BookingReserved | BookingInfo, method: PaymentMethod, tx: Tx) -> Payment:
    """The booking's payment, locked; a pending one of its whole amount is made where there was none."""
    now = tx.now()
    row: dict[str, Any] = {
        "id": uuid7(now),
        "booking_id": booking.booking_id,
        "user_id": booking.user_id,
        "tenant_id": booking.tenant_id,
        "amount": booking.total_amount,
        "currency": booking.currency,
        "method": method,
        "status": "pending",
        "initiated_at": now,
        "retry_count": 0,
        "metadata": booking.model_dump(mode="json", include=_SNAPSHOT),
        "created_at": now,
        "updated_at": now,
        "refund_attempts": 0,
        "return_asked": False,
    }
    made = await tx.insert_new(Payment, [row], key=["booking_id"])
    payment = await hold_payment_of(booking.booking_id, tx)
    assert payment is not None  # noqa: S101 - it was there, or it is now
    if made:
        tx.publish(payment.initiated())
    return payment


def check_payable(payment: Payment, now: datetime) -> None:
    """Raises Problem unless the payment waits for its money, and the hold for the payment."""
    if payment.hold_ends_at is not None and payment.hold_ends_at < now and payment.status in ("pending", "cancelled"):
        raise Problem(410, "BOOKING_EXPIRED", "The hold has expired")
    if payment.status != "pending":
        raise Problem(409, "INVALID_STATUS", f"The payment is {payment.status}")


def begin(payment: Payment, gateway: str, card_token: str | None, tx: Tx) -> None:
    """From here on the gateway may be called."""
    tx.publish(payment.process(gateway, card_token, tx.now()))


# --- the gateway answers ----------------------------------------------------------------------------------------------


async def settle(payment_id: UUID, transaction: Transaction, tx: Tx) -> Payment:
    """What the gateway says becomes of the payment; nothing when that was decided before."""
    payment = await hold_payment(payment_id, tx)
    if payment.status not in ("pending", "processing"):
        if transaction.status == "succeeded" and payment.status in ("failed", "cancelled"):
            log.error("payment %s is %s, but the gateway has charged it", payment.id, payment.status)
        return payment
    payment.card_brand, payment.card_last_four = transaction.card_brand, transaction.card_last_four
    payment.gateway_response = {"id": transaction.id, "status": transaction.status, "code": transaction.code}
    match transaction.status:
        case "succeeded":
            succeed(payment, transaction, tx)
        case "declined":
            fail(payment, transaction.code or "card_declined", transaction.message or "The card was declined", tx)
        case "pending":
            payment.gateway_payment_id, payment.updated_at = transaction.id, tx.now()
    return payment


def succeed(payment: Payment, transaction: Transaction, tx: Tx) -> None:
    """The money is there; when the booking is gone already, it goes back at once."""
    if transaction.amount != smallest_unit(payment.amount):
        log.error("payment %s: the gateway charged %s, not %s", payment.id, transaction.amount, payment.amount)
        payment.error_code = "AMOUNT_MISMATCH"
        return
    payment.gateway_charge_id = transaction.id
    tx.publish(payment.succeed(transaction.gateway, transaction.id, tx.now()))
    if payment.refund_on_success is not None:
        ask_refund(payment, payment.amount, payment.refund_on_success, tx)


def fail(payment: Payment, code: str, message: str, tx: Tx) -> None:
    """No money was or will be taken."""
    tx.publish(payment.fail(code, message, tx.now()))
    announce_return(payment, tx)


async def try_later(payment_id: UUID, error: Exception, tx: Tx) -> Payment:
    """The gateway could not do it: try again soon. What timed out to the end is left to the sweeper, who asks first."""
    payment = await hold_payment(payment_id, tx)
    if payment.status != "processing":
        return payment
    wait = wait_before_retry(payment.retry_count, tx.use(PaymentSettings).retry_waits_seconds)
    payment.updated_at = tx.now()
    if wait is not None:
        payment.retry_count += 1
        payment.next_attempt_at = tx.now() + timedelta(seconds=wait)
    elif isinstance(error, GatewayTimeout | TimeoutError):
        payment.next_attempt_at = None
    else:
        fail(payment, "GATEWAY_ERROR", "The payment provider could not process the payment", tx)
    return payment


async def give_up(payment_id: UUID, tx: Tx) -> Payment:
    """The gateway knows nothing of a charge that was under way: it was not charged, and is not to be any more."""
    payment = await hold_payment(payment_id, tx)
    if payment.status == "processing":
        fail(payment, "GATEWAY_ERROR", "The payment provider did not charge", tx)
    return payment


# --- money goes back --------------------------------------------------------------------------------------------------


def call_off(payment: Payment, reason: str, tx: Tx) -> None:
    """The booking is gone: nothing is to be taken for it any more, and what was taken goes back."""
    match payment.status:
        case "pending":
            payment.cancel(tx.now())
            announce_return(payment, tx)
        case "processing":
            payment.refund_on_success = reason
        case "succeeded":
            ask_refund(payment, payment.amount, reason, tx)


def ask_refund(payment: Payment, amount: Decimal, reason: str, tx: Tx) -> None:
    """The refund worker, or whoever is faster, asks the gateway."""
    payment.ask_refund(amount, reason, tx.now())
    tx.audit(
        "payment.refund_asked",
        "payment",
        payment.id,
        after={"amount": f"{amount:.2f}", "reason": reason},
        tenant_id=payment.tenant_id,
    )


async def finish_refund(payment_id: UUID, tx: Tx) -> Payment:
    """The gateway has given it back."""
    payment = await hold_payment(payment_id, tx)
    if payment.status == "refund_pending":
        tx.publish(payment.refund(tx.now()))
        announce_return(payment, tx)
    return payment


async def refund_later(payment_id: UUID, error: Exception, tx: Tx) -> Payment:
    """The gateway could not give it back: try again, more and more patiently, for ever."""
    payment, settings = await hold_payment(payment_id, tx), tx.use(PaymentSettings)
    if payment.status == "refund_pending":
        payment.refund_attempts += 1
        wait = refund_backoff(
            payment.refund_attempts, settings.refund_first_wait_seconds, settings.refund_longest_wait_seconds
        )
        payment.next_attempt_at, payment.updated_at = tx.now() + timedelta(seconds=wait), tx.now()
        if payment.refund_attempts >= settings.refund_alert_after:
            log.error("payment %s: refund failed %s times: %s", payment.id, payment.refund_attempts, error)
    return payment


def announce_return(payment: Payment, tx: Tx) -> None:
    """Tell the saga that waits for it, if one does, that none of the money is held."""
    if payment.return_asked and payment.is_settled:
        payment.return_asked = False
        tx.publish(PaymentReturned(booking_id=payment.booking_id, payment_id=payment.id, returned_at=tx.now()))
