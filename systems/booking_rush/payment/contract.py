"""What other services may know of payment: what was paid, refused and given back, and how to ask for it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AliasChoices, BaseModel, Field

from freehold import Command, Event, Money, Query, Timestamp

PaymentMethod = Literal["credit_card", "debit_card", "bank_transfer", "promptpay", "wallet", "cash"]
PaymentStatus = Literal["pending", "processing", "succeeded", "failed", "cancelled", "refund_pending", "refunded"]


# --- events -----------------------------------------------------------------------------------------------------------


class PaymentFact(Event):
    """What every event of a payment tells."""

    payment_id: UUID
    booking_id: UUID
    tenant_id: UUID
    user_id: UUID
    amount: Money
    currency: str


class PaymentInitiated(PaymentFact, name="payment.initiated", topic="payment.transactions", key="booking_id"):
    method: PaymentMethod
    status: PaymentStatus
    initiated_at: Timestamp


class PaymentProcessing(PaymentFact, name="payment.processing", topic="payment.transactions", key="booking_id"):
    method: PaymentMethod
    gateway: str
    status: PaymentStatus
    retry_count: int


class PaymentCompleted(PaymentFact, name="payment.completed", topic="payment.transactions", key="booking_id"):
    method: PaymentMethod
    gateway: str
    gateway_payment_id: str
    card_last_four: str | None
    card_brand: str | None
    status: PaymentStatus
    completed_at: Timestamp


class PaymentFailed(PaymentFact, name="payment.failed", topic="payment.transactions", key="booking_id"):
    method: PaymentMethod
    status: PaymentStatus
    error_code: str
    error_message: str
    retry_count: int
    failed_at: Timestamp


class PaymentRefunded(PaymentFact, name="payment.refunded", topic="payment.transactions", key="booking_id"):
    """`full`: all of the amount went back."""

    refund_amount: Money
    refund_reason: str
    full: bool
    refunded_at: Timestamp


class PaymentReturned(Event, name="payment.returned", topic="payment.transactions", key="booking_id"):
    """Answers `RefundPayment`: none of the customer's money is held for the booking, nor will be."""

    booking_id: UUID
    payment_id: UUID | None
    returned_at: Timestamp


# --- commands ---------------------------------------------------------------------------------------------------------


class ChargeBooking(Command, name="payment.charge", key="booking_id"):
    """Take the price of a held booking. Answered by `payment.completed` or `payment.failed`."""

    booking_id: UUID
    amount: Money
    currency: str
    method: PaymentMethod = "credit_card"
    card_id: UUID | None = None
    """From `KeepCard`: commands lie in tables and logs, where a card's token has no business."""


class RefundPayment(Command, name="payment.refund", key="booking_id"):
    """Give back all that was or will be paid for a booking. Answered by `payment.returned`."""

    booking_id: UUID
    reason: str = "booking_not_confirmable"


# --- queries ----------------------------------------------------------------------------------------------------------


class PaymentInfo(BaseModel):
    """A payment, as siblings see one."""

    payment_id: UUID
    booking_id: UUID
    tenant_id: UUID | None
    user_id: UUID
    amount: Money
    currency: str
    method: PaymentMethod
    status: PaymentStatus
    error_code: str | None
    refund_amount: Money | None
    completed_at: Timestamp | None


class GetPaymentOfBooking(Query[PaymentInfo], path="/internal/payments/booking/{booking_id}"):
    """404 `NOT_FOUND` when nothing was ever to be paid for the booking."""

    booking_id: UUID


class SucceededPayment(BaseModel):
    """Money that was taken and not given back."""

    payment_id: UUID = Field(validation_alias=AliasChoices("payment_id", "id"))
    booking_id: UUID
    amount: Money
    completed_at: Timestamp


class ListSucceededPayments(Query[list[SucceededPayment]], path="/internal/payments/succeeded"):
    """Payments completed in `since` ≤ t < `until`, in that order. Go on with the last one's `completed_at` and id."""

    since: Timestamp
    until: Timestamp
    after: UUID | None = None
    limit: int = 500


class CreatePayment(Query[PaymentInfo], path="/internal/payments", method="POST"):
    """Claim or make the pending payment of a booking; the same `idempotency_key` gets the same payment."""

    booking_id: UUID
    amount: Money
    currency: str
    method: PaymentMethod
    idempotency_key: str


class KeptCardInfo(BaseModel):
    card_id: UUID


class KeepCard(Query[KeptCardInfo], path="/internal/payments/cards", method="POST"):
    """Keep a card's token until it is charged, or given up after a while."""

    card_token: str = Field(max_length=100, repr=False)


class AskRefund(Query[PaymentInfo], path="/internal/payments/{id}/refund", method="POST"):
    """Give a payment back, in full unless `amount` says less; the same `idempotency_key` refunds once."""

    id: UUID
    amount: Money | None = None
    reason: str
    idempotency_key: str
