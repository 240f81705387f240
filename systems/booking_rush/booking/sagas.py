"""The flows that booking leads: what follows a payment, and a whole booking in one request."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel

from freehold import Money, Problem, Saga, Step, Timestamp, Tx
from systems.booking_rush.booking import lifecycle
from systems.booking_rush.booking.contract import BookingConfirmed
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.rules import SeatRequest, check_held
from systems.booking_rush.booking.seats import Reserved, count_zone, reserve_seats
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.notification.contract import ConfirmationTaken, SendConfirmation
from systems.booking_rush.payment.contract import (
    ChargeBooking,
    PaymentCompleted,
    PaymentFailed,
    PaymentMethod,
    PaymentReturned,
    RefundPayment,
)
from systems.booking_rush.ticket.contract import ZoneForSale


async def sell(booking_id: UUID, payment_id: UUID, amount: Decimal, tx: Tx) -> BookingConfirmed:
    """Confirm a booking that was paid for. Raises Problem when it can no longer be, or something else was paid."""
    paid = await lifecycle.hold_booking(booking_id, tx)
    if paid.status == "confirmed" and paid.payment_id in (payment_id, None):
        return paid.as_confirmed()
    check_held(paid)
    if amount != paid.total_amount:
        raise Problem(402, "PAYMENT_REQUIRED", f"{amount} was paid for a booking of {paid.total_amount}")
    return lifecycle.confirm(paid, payment_id, tx)


# Nothing depends on it: notification may be away, or not be there at all. An order is delivered for certain, so one
# without an answer is not given twice; what fails in notification is tried five more times there. What is not answered
# lies in booking's dead letters, and the booking stays confirmed.
SEND_NOTIFICATION = Step("send-notification", do=SendConfirmation, ok=ConfirmationTaken, timeout="30s", critical=False)


# --- after a payment --------------------------------------------------------------------------------------------------


class PaidBooking(BaseModel):
    """What the saga knows, from the payment's event and then from the confirmed booking."""

    booking_id: UUID
    payment_id: UUID
    amount: Money
    confirmed: BookingConfirmed | None = None


async def receive_payment(paid: PaidBooking, tx: Tx) -> None:
    """The money is there: from here on, turning back means giving it back."""


async def confirm_booking(paid: PaidBooking, tx: Tx) -> PaidBooking:
    """A booking that expired or was cancelled meanwhile refuses, and its seats are not touched again."""
    confirmed = await sell(paid.booking_id, paid.payment_id, paid.amount, tx)
    return paid.model_copy(update={"confirmed": confirmed})


post_payment_saga = booking.saga(
    Saga(
        "post_payment_saga",
        key="booking_id",
        starts_on=PaymentCompleted,
        data=PaidBooking,
        deadline="60s",
        steps=[
            Step("receive-payment", do=receive_payment, undo=RefundPayment, undone=PaymentReturned),
            Step("confirm-booking", do=confirm_booking, timeout="30s", retries=3),
            SEND_NOTIFICATION,
        ],
    )
)


# --- all in one -------------------------------------------------------------------------------------------------------


class BookAndPay(BaseModel):
    """What the saga knows. The names are those of its commands' fields."""

    booking_id: UUID
    user_id: UUID
    quantity: int
    cap: int
    zone: ZoneForSale
    reserved_at: Timestamp
    expires_at: Timestamp
    amount: Money
    currency: str
    method: PaymentMethod
    card_id: UUID | None = None
    payment_id: UUID | None = None
    confirmed: BookingConfirmed | None = None

    def request(self, now: datetime) -> SeatRequest:
        """The wish for seats, held from now on."""
        return SeatRequest(
            booking_id=self.booking_id,
            user_id=self.user_id,
            quantity=self.quantity,
            cap=self.cap,
            zone=self.zone,
            reserved_at=now,
            expires_at=now + (self.expires_at - self.reserved_at),
        )


async def reserve(data: BookAndPay, tx: Tx, memory: SoldOutMemory) -> None:
    """Hold the seats, by the same decision as everybody's."""
    await count_zone(data.zone, data.zone.zone_name, tx)
    (answer,) = await reserve_seats.function([data.request(tx.now())], tx, memory)
    if not isinstance(answer, Reserved):
        raise answer


async def release(data: BookAndPay, tx: Tx) -> None:
    """Give the seats back, unless a refused payment or the expiry did so before."""
    held = await lifecycle.hold_booking(data.booking_id, tx)
    if held.is_open:
        await lifecycle.cancel([held], "saga_compensated", tx)


async def confirm(data: BookAndPay, tx: Tx) -> BookAndPay:
    """Sell what was paid for."""
    if data.payment_id is None:
        raise Problem(402, "PAYMENT_REQUIRED", "Nothing was paid")
    confirmed = await sell(data.booking_id, data.payment_id, data.amount, tx)
    return data.model_copy(update={"confirmed": confirmed})


booking_saga = booking.saga(
    Saga(
        "booking_saga",
        key="booking_id",
        data=BookAndPay,
        steps=[
            Step("reserve-seats", do=reserve, undo=release, timeout="30s", retries=2),
            # Not sent twice: payment itself tries again what may succeed, and a decline is final.
            Step(
                "process-payment",
                do=ChargeBooking,
                ok=PaymentCompleted,
                fail=PaymentFailed,
                undo=RefundPayment,
                undone=PaymentReturned,
                timeout="30s",
            ),
            Step("confirm-booking", do=confirm, timeout="30s", retries=2),
            SEND_NOTIFICATION,
        ],
    )
)
