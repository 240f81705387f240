"""What vendor owns of orders and payouts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from freehold import Money, Percent, soft_ref, uuid7
from systems.petpro.vendor.contract import (
    ItemStatus,
    OrderCancelled,
    OrderCreated,
    OrderedItem,
    OrderPaid,
    OrderPaymentStatus,
    OrderRefunded,
    OrderStatus,
    OrderStatusChanged,
    PayoutCompleted,
    PayoutCreated,
    PayoutRow,
    PayoutStatus,
    RefundStatus,
    ReservationState,
    StockLine,
)
from systems.petpro.vendor.rules import check_transition, order_status
from systems.petpro.vendor.tables import Base

CURRENCY = "IDR"


class Order(Base):
    """What a customer wants, of one vendor or of several."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("ix_orders_customer_id_order_date", "customer_id", "order_date"),
        Index(
            "ix_orders_payment_due_at_live",
            "payment_due_at",
            postgresql_where=text("status = 'pending'"),
            sqlite_where=text("status = 'pending'"),
        ),
        CheckConstraint("total_amount >= 0", "total_amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    customer_id: Mapped[UUID] = soft_ref("auth.users.id", index=False)
    order_number: Mapped[str] = mapped_column(String(20), unique=True)
    total_amount: Mapped[Money]
    status: Mapped[OrderStatus] = mapped_column(default="pending", index=True)
    order_date: Mapped[datetime]
    shipping_address: Mapped[dict[str, Any]]
    billing_address: Mapped[dict[str, Any]]
    payment_method: Mapped[str] = mapped_column(String(50))
    notes: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    reservation_state: Mapped[ReservationState] = mapped_column(default="requested")
    payment_due_at: Mapped[datetime]
    cancellation_reason: Mapped[str | None] = mapped_column(String(255))
    version: Mapped[int] = mapped_column(default=1)

    items: Mapped[list[OrderItem]] = relationship(lazy="selectin", order_by="OrderItem.id")
    payment: Mapped[OrderPayment | None] = relationship(lazy="selectin")

    def items_of(self, vendor_id: UUID | None) -> list[OrderItem]:
        """The vendor's items; none of nobody's."""
        return [item for item in self.items if item.vendor_id == vendor_id]

    def move(self, items: list[OrderItem], status: OrderStatus, now: datetime) -> OrderStatus:
        """Bring items into a status, and the order after them; the order's status before.

        Raises Problem 409 when one of them cannot go there.
        """
        for item in items:
            item.become(status, now)
        previous, self.status = self.status, order_status([item.status for item in self.items])
        self.updated_at, self.version = now, self.version + 1
        return previous

    def created(self) -> OrderCreated:
        """The event that says so."""
        return OrderCreated(
            order_id=self.id,
            order_number=self.order_number,
            customer_id=self.customer_id,
            total_amount=self.total_amount,
            currency=CURRENCY,
            status=self.status,
            items=[item.as_ordered() for item in self.items],
            payment_due_at=self.payment_due_at,
            version=self.version,
            created_at=self.created_at,
        )

    def paid(self, payment: OrderPayment, now: datetime) -> OrderPaid:
        """The event that says so."""
        return OrderPaid(
            order_id=self.id,
            payment_id=payment.id,
            amount=payment.amount,
            currency=payment.currency,
            items=[item.as_line() for item in self.items],
            version=self.version,
            paid_at=now,
        )

    def status_changed(self, previous: OrderStatus) -> OrderStatusChanged:
        """The event that says so, of all items."""
        return OrderStatusChanged(
            order_id=self.id,
            previous_status=previous,
            status=self.status,
            items=[
                ItemStatus(
                    order_item_id=item.id,
                    vendor_id=item.vendor_id,
                    status=item.status,
                    delivered_at=item.delivered_at,
                )
                for item in self.items
            ],
            version=self.version,
            changed_at=self.updated_at,
        )

    def cancelled(self, items: list[OrderItem], reason: str, refund: Decimal | None = None) -> OrderCancelled:
        """The event that says so of these items; without a refund nothing was paid yet."""
        return OrderCancelled(
            order_id=self.id,
            reason=reason,
            stock_action="release" if refund is None else "return",
            status=self.status,
            items=[item.as_line() for item in items],
            refund_amount=refund or Decimal(0),
            version=self.version,
            cancelled_at=self.updated_at,
        )


class OrderItem(Base):
    """A line of an order: one product of one vendor, at the prices and rates of that day."""

    __tablename__ = "order_items"
    __table_args__ = (
        UniqueConstraint("order_id", "vendor_id", "product_id"),
        Index("ix_order_items_vendor_id_status", "vendor_id", "status"),
        Index(
            "ix_order_items_vendor_id_delivered_at",
            "vendor_id",
            "delivered_at",
            postgresql_where=text("status = 'delivered' AND payout_id IS NULL"),
            sqlite_where=text("status = 'delivered' AND payout_id IS NULL"),
        ),
        CheckConstraint("quantity > 0", "quantity"),
        CheckConstraint("unit_price >= 0", "unit_price"),
        CheckConstraint("subtotal = quantity * unit_price", "subtotal"),
        CheckConstraint("tax >= 0", "tax"),
        CheckConstraint("taken_back >= 0 AND taken_back <= subtotal - commission_amount", "taken_back"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    product_id: Mapped[UUID] = soft_ref("inventory.products.id")
    vendor_id: Mapped[UUID] = mapped_column(ForeignKey("vendors.id", ondelete="RESTRICT"))
    quantity: Mapped[int]
    unit_price: Mapped[Money]
    subtotal: Mapped[Money]
    tax: Mapped[Money] = mapped_column(default=Decimal(0))
    status: Mapped[OrderStatus] = mapped_column(default="pending")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    product_snapshot: Mapped[dict[str, Any]] = mapped_column(default=dict)
    commission_rate: Mapped[Percent] = mapped_column(default=Decimal("10.00"))
    commission_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    delivered_at: Mapped[datetime | None]
    payout_id: Mapped[UUID | None] = mapped_column(ForeignKey("vendor_payouts.id", ondelete="SET NULL"), index=True)
    tracking_number: Mapped[str | None] = mapped_column(String(100))
    taken_back: Mapped[Money] = mapped_column(default=Decimal(0))

    @property
    def total(self) -> Decimal:
        """What the customer pays for it."""
        return self.subtotal + self.tax

    @property
    def earned(self) -> Decimal:
        """What its vendor gets for it."""
        return self.subtotal - self.commission_amount

    def become(self, status: OrderStatus, now: datetime) -> None:
        """Go over to the status. Raises Problem 409 when that cannot be."""
        check_transition(self.status, status)
        self.status, self.updated_at = status, now
        if status == "delivered":
            self.delivered_at = now

    def as_line(self) -> StockLine:
        """As inventory knows it."""
        return StockLine(order_item_id=self.id, product_id=self.product_id, quantity=self.quantity)

    def as_ordered(self) -> OrderedItem:
        """As others are told of it."""
        return OrderedItem(
            order_item_id=self.id,
            product_id=self.product_id,
            vendor_id=self.vendor_id,
            quantity=self.quantity,
            unit_price=self.unit_price,
            subtotal=self.subtotal,
            tax=self.tax,
            commission_amount=self.commission_amount,
        )


class OrderPayment(Base):
    """An order's money: taken once, given back in parts."""

    __tablename__ = "order_payments"
    __table_args__ = (
        Index(
            "uq_order_payments_external_reference",
            "external_reference",
            unique=True,
            postgresql_where=text("external_reference IS NOT NULL"),
            sqlite_where=text("external_reference IS NOT NULL"),
        ),
        CheckConstraint("refunded_amount >= 0 AND refunded_amount <= amount", "refunded_amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), unique=True)
    external_reference: Mapped[str | None] = mapped_column(String(100))
    amount: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3), default="IDR")
    payment_method: Mapped[str] = mapped_column(String(50))
    status: Mapped[OrderPaymentStatus] = mapped_column(default="pending")
    refunded_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    payment_details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    paid_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    payment_url: Mapped[str | None] = mapped_column(String(500))

    def become(self, status: OrderPaymentStatus, now: datetime) -> None:
        """Go over to the status."""
        self.status, self.updated_at = status, now

    def note(self, text: str) -> None:
        """Keep a word about it for people."""
        self.payment_details = {**self.payment_details, "notes": [*self.payment_details.get("notes", []), text]}


class OrderRefund(Base):
    """Money of an order that is to be given back, or was."""

    __tablename__ = "order_refunds"
    __table_args__ = (
        UniqueConstraint("payment_id", "sequence"),
        Index("ix_order_refunds_status_next_try_at", "status", "next_try_at"),
        CheckConstraint("amount > 0", "amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("order_payments.id", ondelete="CASCADE"))
    sequence: Mapped[int]
    amount: Mapped[Money]
    reason: Mapped[str] = mapped_column(String(255))
    item_ids: Mapped[list[Any]]
    status: Mapped[RefundStatus] = mapped_column(default="pending")
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def key(self) -> str:
        """Under which the gateway gives it back once."""
        return f"refund:{self.payment_id}:{self.sequence}"

    def done(self, payment: OrderPayment, now: datetime) -> OrderRefunded:
        """The gateway gave it back; the event that says so."""
        self.status, self.updated_at = "done", now
        payment.refunded_amount += self.amount
        return OrderRefunded(
            refund_id=self.id,
            order_id=self.order_id,
            amount=self.amount,
            refunded_total=payment.refunded_amount,
            currency=payment.currency,
            refunded_at=now,
        )


class OrderCounter(Base):
    """The last running number of a year's orders."""

    __tablename__ = "order_counters"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(default=0)


class Payout(Base):
    """Money for a vendor: what its delivered items brought, less commission and what had to be given back."""

    __tablename__ = "vendor_payouts"
    __table_args__ = (
        Index("ix_vendor_payouts_vendor_id_status", "vendor_id", "status"),
        CheckConstraint("amount > 0", "amount"),
        CheckConstraint("(status = 'completed') = (payout_date IS NOT NULL)", "status_completed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    vendor_id: Mapped[UUID] = mapped_column(ForeignKey("vendors.id", ondelete="RESTRICT"))
    amount: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3), default="IDR")
    status: Mapped[PayoutStatus] = mapped_column(default="pending")
    reference_number: Mapped[str] = mapped_column(String(100), unique=True)
    transaction_details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    payout_date: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def become(self, status: PayoutStatus, now: datetime) -> None:
        """Go over to the status."""
        self.status, self.updated_at = status, now

    def note(self, **details: Any) -> None:
        """Keep more of what is known of it."""
        self.transaction_details = {**self.transaction_details, **details}

    def complete(self, now: datetime, **details: Any) -> PayoutCompleted:
        """The money has gone; the event that says so."""
        self.become("completed", now)
        self.payout_date = now
        self.note(**details)
        return PayoutCompleted(
            payout_id=self.id,
            vendor_id=self.vendor_id,
            amount=self.amount,
            currency=self.currency,
            reference_number=self.reference_number,
            payout_date=now,
        )

    def created(self, item_count: int) -> PayoutCreated:
        """The event that says so."""
        return PayoutCreated(
            payout_id=self.id,
            vendor_id=self.vendor_id,
            amount=self.amount,
            currency=self.currency,
            reference_number=self.reference_number,
            item_count=item_count,
            created_at=self.created_at,
        )

    def as_row(self) -> PayoutRow:
        """As siblings keep it."""
        return PayoutRow(
            payout_id=self.id,
            vendor_id=self.vendor_id,
            amount=self.amount,
            status=self.status,
            updated_at=self.updated_at,
        )
