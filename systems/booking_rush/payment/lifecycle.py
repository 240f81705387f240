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
from systems.booking_rush.payment.review import put_before_people
from systems.booking_rush.payment.rules import refund_backoff, wait_before_retry
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.tables import Payment

log = logging.getLogger(__name__)
LATE = "booking_not_confirmable"
MISMATCH = "AMOUNT_MISMATCH"
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
    """What the gateway says becomes of the payment."""
    payment = await hold_payment(payment_id, tx)
    take_or_review(payment, transaction, tx)
    return payment


def take_or_review(payment: Payment, transaction: Transaction, tx: Tx) -> bool:
    """Do what the transaction means for the payment; what does not fit it is put before people, and False."""
    if take(payment, transaction, tx) is None:
        return True
    if payment.status in ("pending", "processing"):
        if payment.error_code == MISMATCH and (payment.gateway_response or {}).get("id") == transaction.id:
            return False  # they know
        payment.error_code, payment.updated_at = MISMATCH, tx.now()
        payment.gateway_response = _response(transaction)
    put_before_people(payment.id, transaction, tx)
    return False


def take(payment: Payment, transaction: Transaction, tx: Tx) -> str | None:
    """Do what the transaction means for the payment; when nothing can be done, the text says what is wrong."""
    if transaction.status != "succeeded":
        _take_unpaid(payment, transaction, tx)
        return None
    told, ours = (transaction.amount, transaction.currency), (smallest_unit(payment.amount), payment.currency)
    if told[0] != ours[0] or told[1] not in (None, ours[1]):
        return f"{told[0]} {told[1] or ours[1]} was charged, not {ours[0]} {ours[1]}, in the smallest unit"
    match payment.status:
        case "pending" | "processing":
            succeed(payment, transaction, tx)
        case "failed" | "cancelled":
            _succeed_late(payment, transaction, tx)
        case _ if payment.gateway_payment_id != transaction.id:
            return f"it is {payment.status} by {payment.gateway_payment_id}, and was charged again by {transaction.id}"
    return None


def _take_unpaid(payment: Payment, transaction: Transaction, tx: Tx) -> None:
    decided = payment.status not in ("pending", "processing")
    if decided or payment.gateway_payment_id not in (None, transaction.id):
        return
    _note(payment, transaction)
    if transaction.status == "declined":
        fail(payment, transaction.code or "card_declined", transaction.message or "The card was declined", tx)
    else:
        payment.gateway_payment_id, payment.updated_at = transaction.id, tx.now()


def _note(payment: Payment, transaction: Transaction) -> None:
    payment.card_brand = transaction.card_brand or payment.card_brand
    payment.card_last_four = transaction.card_last_four or payment.card_last_four
    payment.gateway_response = _response(transaction)


def _response(transaction: Transaction) -> dict[str, Any]:
    return {"id": transaction.id, "status": transaction.status, "code": transaction.code}


def succeed(payment: Payment, transaction: Transaction, tx: Tx) -> None:
    """The money is there; when the booking is gone already, it goes back at once."""
    before = payment.status
    _note(payment, transaction)
    payment.gateway_charge_id = transaction.charge_id or transaction.id
    tx.publish(payment.succeed(transaction.gateway, transaction.id, tx.now()))
    _audit("completed", payment, before, tx)
    if payment.refund_on_success is not None:
        ask_refund(payment, payment.amount, payment.refund_on_success, tx)


def _succeed_late(payment: Payment, transaction: Transaction, tx: Tx) -> None:
    """It was given up, and the customer paid all the same: give it back, and never sell by it."""
    before = payment.status
    _note(payment, transaction)
    payment.gateway_charge_id = transaction.charge_id or transaction.id
    payment.succeed_late(transaction.gateway, transaction.id, LATE, tx.now())
    _audit("refund_asked", payment, before, tx)


def _audit(what: str, payment: Payment, before: str, tx: Tx) -> None:
    after = {"status": payment.status, "amount": f"{payment.refund_amount or payment.amount:.2f}"}
    if payment.refund_reason:
        after["reason"] = payment.refund_reason
    tx.audit(
        f"payment.{what}", "payment", payment.id, before={"status": before}, after=after, tenant_id=payment.tenant_id
    )


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


def cancel(payment: Payment, tx: Tx) -> None:
    """Nothing is to be taken for it any more; should the customer pay all the same, it goes back."""
    payment.cancel(tx.now())
    _audit("cancelled", payment, "pending", tx)
    announce_return(payment, tx)


def call_off(payment: Payment, reason: str, tx: Tx) -> None:
    """The booking is gone: nothing is to be taken for it any more, and what was taken goes back."""
    match payment.status:
        case "pending":
            cancel(payment, tx)
        case "processing":
            payment.refund_on_success = reason
        case "succeeded":
            ask_refund(payment, payment.amount, reason, tx)


async def closed(payment_id: UUID, transaction: Transaction | None, tx: Tx) -> None:
    """The gateway takes nothing any more for a payment that was given up; it may have before."""
    payment = await hold_payment(payment_id, tx)
    if payment.status in ("failed", "cancelled"):
        payment.next_attempt_at = None
        if transaction is not None:
            take_or_review(payment, transaction, tx)


def ask_refund(payment: Payment, amount: Decimal, reason: str, tx: Tx) -> None:
    """The refund worker, or whoever is faster, asks the gateway."""
    payment.ask_refund(amount, reason, tx.now())
    _audit("refund_asked", payment, "succeeded", tx)


async def finish_refund(payment_id: UUID, tx: Tx) -> Payment:
    """The gateway has given it back."""
    payment = await hold_payment(payment_id, tx)
    if payment.status == "refund_pending":
        tx.publish(payment.refund(tx.now()))
        _audit("refunded", payment, "refund_pending", tx)
        announce_return(payment, tx)
    return payment


async def note_refund(payment_id: UUID, refunded: int, tx: Tx) -> None:
    """The gateway tells how much of it was given back by now, in the smallest unit; by whomever."""
    payment = await hold_payment(payment_id, tx)
    if payment.status == "succeeded" and 0 < refunded <= smallest_unit(payment.amount):
        ask_refund(payment, Decimal(refunded) / 100, "refunded_at_gateway", tx)
    if payment.refund_amount is not None and refunded >= smallest_unit(payment.refund_amount):
        await finish_refund(payment_id, tx)


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
