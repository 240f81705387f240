"""What vendor owns: marketplace vendors, their listings, customer orders and vendor payouts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Percent, Portable, soft_ref, uuid7
from systems.petpro.vendor.contract import OrderPaymentStatus, OrderStatus, PayoutStatus, ReservationState, VendorStatus


class Base(Portable, DeclarativeBase):
    """The tables of vendor."""


class Vendor(Base):
    __tablename__ = "vendors"
    __table_args__ = (
        Index("ix_vendors_city_province", "city", "province"),
        CheckConstraint("commission_rate >= 0 AND commission_rate <= 100", "commission_rate"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = soft_ref("auth.users.id", unique=True, index=False)
    business_name: Mapped[str] = mapped_column(String(255), index=True)
    business_type: Mapped[str] = mapped_column(String(100))
    contact_name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(255), unique=True)
    phone: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(500))
    city: Mapped[str] = mapped_column(String(100))
    province: Mapped[str] = mapped_column(String(100))
    postal_code: Mapped[str] = mapped_column(String(20))
    tax_id: Mapped[str | None] = mapped_column(String(50))
    website: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[VendorStatus] = mapped_column(default="pending", index=True)
    verification_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    commission_rate: Mapped[Percent] = mapped_column(default=Decimal("10.00"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Listing(Base):
    __tablename__ = "vendor_products"
    __table_args__ = (
        UniqueConstraint("vendor_id", "product_id"),
        Index(
            "ix_vendor_products_vendor_id_live",
            "vendor_id",
            postgresql_where=text("is_active = true"),
            sqlite_where=text("is_active = true"),
        ),
        CheckConstraint("vendor_price > 0", "vendor_price"),
        CheckConstraint("marketplace_price > 0", "marketplace_price"),
        CheckConstraint("quantity_available >= 0", "quantity_available"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    vendor_id: Mapped[UUID] = mapped_column(ForeignKey("vendors.id", ondelete="CASCADE"))
    product_id: Mapped[UUID] = soft_ref("inventory.products.id")
    vendor_price: Mapped[Money]
    marketplace_price: Mapped[Money]
    quantity_available: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    stock_version: Mapped[int] = mapped_column(default=0)


class Order(Base):
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


class OrderItem(Base):
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


class Payout(Base):
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


class OrderPayment(Base):
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


class UserRef(Base):
    __tablename__ = "user_refs"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    email: Mapped[str | None] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]


class ProductRef(Base):
    __tablename__ = "product_refs"

    product_id: Mapped[UUID] = soft_ref("inventory.products.id", primary_key=True, index=False)
    name: Mapped[str | None] = mapped_column(String(255))
    sku: Mapped[str | None] = mapped_column(String(50))
    image_url: Mapped[str | None] = mapped_column(String(500))
    regular_price: Mapped[Money | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]
