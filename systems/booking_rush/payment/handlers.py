"""What payment does when something happens elsewhere, and what sagas order of it."""

from __future__ import annotations

from freehold import Retry, Tx
from systems.booking_rush.booking.contract import BookingCancelled, BookingExpired, BookingReserved, GetBooking
from systems.booking_rush.payment import lifecycle
from systems.booking_rush.payment.contract import ChargeBooking, PaymentReturned, RefundPayment
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import PaymentGateway
from systems.booking_rush.payment.review import ReviewCharge, UnsettledCharge
from systems.booking_rush.payment.tables import KeptCard, Payment


@payment.on(BookingReserved, BookingCancelled, BookingExpired)
async def follow_booking(event: BookingReserved | BookingCancelled | BookingExpired, tx: Tx) -> None:
    """A pending payment waits for the client of a held booking, and is called off with it.

    One handler for all of them, since only a handler gets a booking's events in order: no payment is left to wait for a
    booking that is gone.
    """
    if isinstance(event, BookingReserved):
        await lifecycle.open_payment(event, "credit_card", tx)  # unless the client was faster
        return
    found = await lifecycle.hold_payment_of(event.booking_id, tx)
    if found is not None:
        lifecycle.call_off(found, event.status_reason, tx)


@payment.handles(ChargeBooking)
async def charge_booking(command: ChargeBooking, tx: Tx, gateway: PaymentGateway) -> None:
    """Put the payment under way; the charge worker calls the gateway, as nothing may wait for it in here."""
    found = await lifecycle.hold_payment_of(command.booking_id, tx)
    if found is None:
        # The saga's command may overtake the booking's event.
        booking = await tx.ask(GetBooking(booking_id=command.booking_id), after_write=True)
        found = await lifecycle.open_payment(booking, command.method, tx)
    card = await tx.get(KeptCard, command.card_id) if command.card_id is not None else None
    match found.status:
        case "pending" if command.card_id is not None and card is None:
            lifecycle.fail(found, "CARD_FORGOTTEN", "The card was not charged in time, and is not known any more", tx)
        case "pending" if (command.amount, command.currency) != (found.amount, found.currency):
            lifecycle.fail(found, "AMOUNT_MISMATCH", f"{command.amount} is not the price", tx)
        case "pending":
            found.method = command.method
            lifecycle.begin(found, gateway.name, card.card_token if card is not None else None, tx)
            found.next_attempt_at = tx.now()
        case "succeeded":
            tx.publish(found.completed())
        case "failed" | "cancelled" | "refunded" | "refund_pending":
            tx.publish(found.failed())
    if card is not None:
        await tx.delete(card)


@payment.handles(RefundPayment)
async def refund_payment(command: RefundPayment, tx: Tx) -> None:
    """Call the payment off, and answer once nothing of it is held."""
    found = await lifecycle.hold_payment_of(command.booking_id, tx)
    if found is None:
        tx.publish(PaymentReturned(booking_id=command.booking_id, payment_id=None, returned_at=tx.now()))
        return
    found.return_asked = True
    lifecycle.call_off(found, command.reason, tx)
    lifecycle.announce_return(found, tx)


@payment.handles(ReviewCharge, retry=Retry(times=1))
async def review_charge(command: ReviewCharge, tx: Tx) -> None:
    """Settle it if it can be by now. Raises UnsettledCharge, so that people see it."""
    found = await tx.get(Payment, command.payment_id, lock=True)
    problem = "there is no such payment" if found is None else lifecycle.take(found, command.transaction, tx)
    if problem is not None:
        raise UnsettledCharge(f"payment {command.payment_id}: {problem}")
