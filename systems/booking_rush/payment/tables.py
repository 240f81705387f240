"""What payment owns: one payment for each booking, and what the gateway's webhooks said."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Portable, soft_ref
from systems.booking_rush.payment.contract import (
    PaymentCompleted,
    PaymentFact,
    PaymentFailed,
    PaymentInitiated,
    PaymentMethod,
    PaymentProcessing,
    PaymentRefunded,
    PaymentStatus,
)

Fact = TypeVar("Fact", bound=PaymentFact)


class Base(Portable, DeclarativeBase):
    """Payment's tables."""


class IllegalTransition(ValueError):
    """A payment cannot become that from what it is."""


class Payment(Base):
    """The money for one booking. The amount never changes; of a card only brand and last four digits are kept."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount > 0", "amount"),
        CheckConstraint("refund_amount IS NULL OR (refund_amount > 0 AND refund_amount <= amount)", "refund_amount"),
        Index("ix_payments_status", "status"),
        Index("ix_payments_gateway_payment_id", "gateway_payment_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id", unique=True, index=False)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    amount: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3), default="THB")
    method: Mapped[PaymentMethod]
    status: Mapped[PaymentStatus] = mapped_column(default="pending")
    gateway: Mapped[str | None] = mapped_column(String(50))
    gateway_payment_id: Mapped[str | None] = mapped_column(String(255))
    gateway_charge_id: Mapped[str | None] = mapped_column(String(255))
    gateway_response: Mapped[dict[str, Any] | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    card_last_four: Mapped[str | None] = mapped_column(String(4))
    card_brand: Mapped[str | None] = mapped_column(String(20))
    initiated_at: Mapped[datetime]
    processed_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    refund_amount: Mapped[Money | None]
    refund_reason: Mapped[str | None] = mapped_column(Text)
    refunded_at: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(50))
    error_message: Mapped[str | None] = mapped_column(Text)
    retry_count: Mapped[int] = mapped_column(default=0)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    card_token: Mapped[str | None] = mapped_column(String(100))
    """The gateway's word for the card, until the charge is settled; never a number."""
    next_attempt_at: Mapped[datetime | None]
    """When the gateway is to be called again: for the charge, the refund, or to close what was given up."""
    refund_attempts: Mapped[int] = mapped_column(default=0)
    refund_on_success: Mapped[str | None] = mapped_column(Text)
    """Its booking is gone: why it is to be refunded, should the charge that is under way succeed."""
    claimed_at: Mapped[datetime | None]
    """When a client took up the pending payment, which only one may."""
    refund_key: Mapped[str | None] = mapped_column(String(255))
    """The idempotency key that a sibling asked for the refund with."""
    return_asked: Mapped[bool] = mapped_column(default=False)
    """A saga waits to hear that none of the money is held."""

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def hold_ends_at(self) -> datetime | None:
        """When the booking's hold ends, as the booking said."""
        text = self.details.get("reservation_expires_at")
        return datetime.fromisoformat(text) if text else None

    @property
    def is_settled(self) -> bool:
        """Whether none of the customer's money is held, nor will be."""
        return self.status in ("failed", "cancelled", "refunded")

    def initiated(self) -> PaymentInitiated:
        """What is told of a new payment."""
        return self._tell(PaymentInitiated)

    def process(self, gateway: str, card_token: str | None, now: datetime) -> PaymentProcessing:
        """pending → processing."""
        self._become("processing", now, "pending")
        self.gateway, self.card_token, self.processed_at = gateway, card_token, now
        return self._tell(PaymentProcessing)

    def succeed(self, gateway: str, gateway_payment_id: str, now: datetime) -> PaymentCompleted:
        """processing, or pending when a webhook overtook us → succeeded."""
        self._become("succeeded", now, "pending", "processing")
        self.gateway, self.gateway_payment_id, self.completed_at = gateway, gateway_payment_id, now
        self.card_token = self.next_attempt_at = self.error_code = None
        return self.completed()

    def completed(self) -> PaymentCompleted:
        """What is told of money that came."""
        return self._tell(PaymentCompleted)

    def fail(self, code: str, message: str, now: datetime) -> PaymentFailed:
        """processing, or pending when a webhook overtook us → failed."""
        self._become("failed", now, "pending", "processing")
        self.error_code, self.error_message, self.card_token = code, message, None
        self._close(now)
        return self.failed()

    def failed(self) -> PaymentFailed:
        """What is told of money that did not come."""
        more = {"error_code": self.error_code or "CANCELLED", "error_message": self.error_message or self.status}
        return self._tell(PaymentFailed, **more, failed_at=self.updated_at)

    def cancel(self, now: datetime) -> None:
        """pending → cancelled."""
        self._become("cancelled", now, "pending")
        self._close(now)

    def _close(self, now: datetime) -> None:
        """An intent that was made for it is to be closed at the gateway, where it could still be paid."""
        self.next_attempt_at = now if self.gateway_payment_id is not None else None

    def ask_refund(self, amount: Decimal, reason: str, now: datetime) -> None:
        """succeeded → refund_pending."""
        self._become("refund_pending", now, "succeeded")
        self.refund_amount, self.refund_reason, self.next_attempt_at = amount, reason, now

    def succeed_late(self, gateway: str, gateway_payment_id: str, reason: str, now: datetime) -> None:
        """failed or cancelled, and charged all the same → refund_pending: what nobody waits for any more goes back."""
        self._become("refund_pending", now, "failed", "cancelled")
        self.gateway, self.gateway_payment_id, self.completed_at = gateway, gateway_payment_id, now
        self.refund_amount, self.refund_reason, self.next_attempt_at = self.amount, reason, now

    def refund(self, now: datetime) -> PaymentRefunded:
        """refund_pending → refunded."""
        self._become("refunded", now, "refund_pending")
        self.refunded_at, self.next_attempt_at = now, None
        return self._tell(PaymentRefunded, full=self.refund_amount == self.amount)

    def _become(self, status: PaymentStatus, now: datetime, *expected: PaymentStatus) -> None:
        if self.status not in expected:
            raise IllegalTransition(f"payment {self.id} is {self.status} and cannot become {status}")
        self.status, self.updated_at = status, now

    def _tell(self, kind: type[Fact], **more: Any) -> Fact:
        """The event, filled from the columns of its fields' names."""
        known = {name: getattr(self, name) for name in kind.model_fields if name in type(self).__mapper__.columns}
        return kind.model_validate({**known, "payment_id": self.id, **more})


_UNFINISHED = Payment.status.in_(("pending", "processing"))
Index("idx_payments_pending", Payment.created_at, postgresql_where=_UNFINISHED, sqlite_where=_UNFINISHED)
_WAITING = Payment.next_attempt_at.is_not(None)
Index("idx_payments_next_attempt", Payment.next_attempt_at, postgresql_where=_WAITING, sqlite_where=_WAITING)


class KeptCard(Base):
    """The gateway's word for a card that a saga is going to charge; it leaves with the charge."""

    __tablename__ = "kept_cards"
    __table_args__ = (Index("ix_kept_cards_kept_until", "kept_until"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    card_token: Mapped[str] = mapped_column(String(100))
    kept_until: Mapped[datetime]


class WebhookReceipt(Base):
    """A webhook that was taken; the gateway's own id for it keeps a repeated one from having a second effect."""

    __tablename__ = "webhook_receipts"

    gateway: Mapped[str] = mapped_column(String(50), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(50))
    received_at: Mapped[datetime]


class CustomerDirectory(Base):
    """Payers, by auth's events."""

    __tablename__ = "customer_directory"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    tenant_id: Mapped[UUID | None] = soft_ref("auth.tenants.id")
    email: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(200))
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255))
    deleted: Mapped[bool | None]
    version_at: Mapped[datetime]
