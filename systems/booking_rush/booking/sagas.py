"""The flows that booking leads: what follows a payment, and a whole booking in one request."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel

from freehold import Money, Problem, Saga, Step, Timestamp, Tx
from systems.booking_rush.booking import lifecycle
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.rules import SeatRequest, check_held
from systems.booking_rush.booking.seats import Reserved, count_zone, reserve_seats
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.payment.contract import (
    ChargeBooking,
    PaymentCompleted,
    PaymentFailed,
    PaymentMethod,
    PaymentReturned,
    RefundPayment,
)
from systems.booking_rush.ticket.contract import ZoneForSale


async def sell(booking_id: UUID, payment_id: UUID, amount: Decimal, tx: Tx) -> None:
    """Confirm a booking that was paid for. Raises Problem when it can no longer be, or something else was paid."""
    paid = await lifecycle.hold_booking(booking_id, tx)
    if paid.status == "confirmed" and paid.payment_id in (payment_id, None):
        return
    check_held(paid)
    if amount != paid.total_amount:
        raise Problem(402, "PAYMENT_REQUIRED", f"{amount} was paid for a booking of {paid.total_amount}")
    lifecycle.confirm(paid, payment_id, tx)


# --- after a payment --------------------------------------------------------------------------------------------------


async def receive_payment(payment: PaymentCompleted, tx: Tx) -> None:
    """The money is there: from here on, turning back means giving it back."""


async def confirm_booking(payment: PaymentCompleted, tx: Tx) -> None:
    """A booking that expired or was cancelled meanwhile refuses, and its seats are not touched again."""
    await sell(payment.booking_id, payment.payment_id, payment.amount, tx)


post_payment_saga = booking.saga(
    Saga(
        "post_payment_saga",
        key="booking_id",
        starts_on=PaymentCompleted,
        steps=[
            Step("receive-payment", do=receive_payment, undo=RefundPayment, undone=PaymentReturned),
            Step("confirm-booking", do=confirm_booking, timeout="30s", retries=3),
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
    card_token: str | None
    payment_id: UUID | None = None

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


async def confirm(data: BookAndPay, tx: Tx) -> None:
    """Sell what was paid for."""
    if data.payment_id is None:
        raise Problem(402, "PAYMENT_REQUIRED", "Nothing was paid")
    await sell(data.booking_id, data.payment_id, data.amount, tx)


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
        ],
    )
)
