"""What booking owns of money: payments, what was given back of them, and the split of both."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from freehold import Money, Percent, soft_ref, uuid7
from systems.petpro.booking.contract import EntryKind, EntryStatus, PaymentMethod, PaymentStatus
from systems.petpro.booking.rules import Split
from systems.petpro.booking.tables import Base


class Payment(Base):
    """A booking's payment, and what was given back of it."""

    __tablename__ = "payments"
    __table_args__ = (
        Index(
            "uq_payments_external_reference",
            "external_reference",
            unique=True,
            postgresql_where=text("external_reference IS NOT NULL"),
            sqlite_where=text("external_reference IS NOT NULL"),
        ),
        CheckConstraint("amount >= 0", "amount"),
        CheckConstraint("refunded_amount >= 0 AND refunded_amount <= amount", "refunded_amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"), unique=True)
    external_reference: Mapped[str | None] = mapped_column(String(100))
    amount: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3), default="IDR")
    payment_method: Mapped[PaymentMethod]
    status: Mapped[PaymentStatus] = mapped_column(default="pending", index=True)
    payment_details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    paid_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    refunded_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    refund_tries: Mapped[int] = mapped_column(default=0)
    refund_due_at: Mapped[datetime | None] = mapped_column(index=True)
    """When the gateway is asked next to give back what is owed."""

    @property
    def url(self) -> str | None:
        """Where the customer pays, once the gateway has said so."""
        return self.payment_details.get("url")

    @property
    def is_paid(self) -> bool:
        """Whether money came in for it, be it on its way back."""
        return self.paid_at is not None

    @property
    def refunds(self) -> list[dict[str, Any]]:
        """What is to be given back, in order: `sequence`, `amount`, `reason`, and the gateway's `id` once it was."""
        return list(self.payment_details.get("refunds", ()))

    @property
    def asked_back(self) -> Decimal:
        """How much of it was given back, or is on its way."""
        return sum((Decimal(refund["amount"]) for refund in self.refunds), Decimal(0))

    @property
    def next_refund(self) -> dict[str, Any] | None:
        """The first refund that the gateway has not carried out yet."""
        return next((refund for refund in self.refunds if refund["id"] is None), None)

    def note(self, now: datetime, **details: Any) -> None:
        """Keep something beside the columns."""
        self.payment_details, self.updated_at = {**self.payment_details, **details}, now

    def succeed(self, now: datetime) -> None:
        """The gateway has the money."""
        self.status, self.paid_at, self.updated_at = "success", now, now

    def ask_refund(self, amount: Decimal, reason: str, now: datetime) -> None:
        """Owe the customer so much of it; the gateway is asked from now on."""
        refunds = self.refunds
        refunds.append({"sequence": len(refunds) + 1, "amount": f"{amount:.2f}", "reason": reason, "id": None})
        self.note(now, refunds=refunds)
        self.status, self.refund_tries, self.refund_due_at = "refund_pending", 0, now

    def finish_refund(self, sequence: int, id: str, now: datetime) -> dict[str, Any] | None:
        """The gateway has given it back; the refund, or None when that was known."""
        refunds = self.refunds
        done = refunds[sequence - 1]
        if done["id"] is not None:
            return None
        refunds[sequence - 1] = done = {**done, "id": id}
        self.note(now, refunds=refunds)
        self.refunded_amount += Decimal(done["amount"])
        self.refund_tries, self.refund_due_at = 0, now
        if self.next_refund is None:
            self.status = "refunded" if self.refunded_amount == self.amount else "partially_refunded"
            self.refund_due_at = None
        return done


class FinancialEntry(Base):
    """Who gets what of money that came in, or went back."""

    __tablename__ = "financial_entries"
    __table_args__ = (
        Index(
            "uq_financial_entries_booking_id_type",
            "booking_id",
            "type",
            unique=True,
            postgresql_where=text("type IN ('booking_fee','refund')"),
            sqlite_where=text("type IN ('booking_fee','refund')"),
        ),
        Index("ix_financial_entries_clinic_id_status", "clinic_id", "status"),
        CheckConstraint("platform_fee + clinic_amount + tax_amount = total_amount", "platform_fee"),
        CheckConstraint("(status = 'settled') = (settlement_date IS NOT NULL)", "status_settled"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="RESTRICT"))
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id", index=False)
    type: Mapped[EntryKind]
    total_amount: Mapped[Money]
    platform_fee: Mapped[Money]
    clinic_amount: Mapped[Money]
    tax_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    currency: Mapped[str] = mapped_column(String(3), default="IDR")
    status: Mapped[EntryStatus] = mapped_column(default="pending")
    settlement_date: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    commission_rate: Mapped[Percent]

    @property
    def split(self) -> Split:
        """Its amounts."""
        return Split(self.total_amount, self.tax_amount, self.platform_fee, self.clinic_amount)

    def set(self, parts: Split, now: datetime) -> None:
        """Give it other amounts."""
        self.total_amount, self.tax_amount = parts.total, parts.tax
        self.platform_fee, self.clinic_amount, self.updated_at = parts.platform_fee, parts.clinic_amount, now

    def cancel(self, now: datetime) -> None:
        """It counts no longer."""
        self.status, self.updated_at = "cancelled", now

    def settle(self, now: datetime) -> None:
        """The clinic has its share."""
        self.status, self.settlement_date, self.updated_at = "settled", now, now
