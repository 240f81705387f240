"""What inventory owns: product catalogue, categories, stock and the stock ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Portable, soft_ref, uuid7
from systems.petpro.inventory.contract import HoldState, MovementType


class Base(Portable, DeclarativeBase):
    """The tables of inventory."""


class Category(Base):
    __tablename__ = "product_categories"
    __table_args__ = (
        UniqueConstraint("parent_id", "name", postgresql_nulls_not_distinct=True),
        Index("ix_product_categories_parent_id_display_order", "parent_id", "display_order"),
        CheckConstraint("parent_id IS NULL OR parent_id <> id", "parent_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("product_categories.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(String(500))
    image_url: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool] = mapped_column(default=True)
    display_order: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (
        Index(
            "ix_products_is_featured_live",
            "is_featured",
            postgresql_where=text("is_active = true"),
            sqlite_where=text("is_active = true"),
        ),
        CheckConstraint("regular_price > 0", "regular_price"),
        CheckConstraint("sale_price IS NULL OR (sale_price > 0 AND sale_price < regular_price)", "sale_price"),
        CheckConstraint("on_sale = false OR sale_price IS NOT NULL", "on_sale"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    category_id: Mapped[UUID] = mapped_column(ForeignKey("product_categories.id", ondelete="RESTRICT"), index=True)
    vendor_id: Mapped[UUID | None] = soft_ref("vendor.vendors.id")
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(String(500))
    details: Mapped[str | None] = mapped_column(Text)
    images: Mapped[list[Any]] = mapped_column(default=list)
    regular_price: Mapped[Money]
    sale_price: Mapped[Money | None]
    on_sale: Mapped[bool] = mapped_column(default=False)
    sku: Mapped[str] = mapped_column(String(50), unique=True)
    barcode: Mapped[str | None] = mapped_column(String(50), index=True)
    weight: Mapped[float | None]
    dimensions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)
    is_featured: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Stock(Base):
    __tablename__ = "inventory"
    __table_args__ = (
        CheckConstraint("quantity_available >= 0", "quantity_available"),
        CheckConstraint("quantity_reserved >= 0", "quantity_reserved"),
        CheckConstraint("reorder_threshold >= 0", "reorder_threshold"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"), unique=True)
    quantity_available: Mapped[int] = mapped_column(default=0, index=True)
    quantity_reserved: Mapped[int] = mapped_column(default=0)
    reorder_threshold: Mapped[int] = mapped_column(default=5)
    warehouse_location: Mapped[str | None] = mapped_column(String(100))
    last_restock_date: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class StockMovement(Base):
    __tablename__ = "inventory_transactions"
    __table_args__ = (
        Index(
            "uq_inventory_transactions_reference_type_reference_id_transaction_type",
            "reference_type",
            "reference_id",
            "transaction_type",
            unique=True,
            postgresql_where=text("reference_type = 'order_item'"),
            sqlite_where=text("reference_type = 'order_item'"),
        ),
        Index("ix_inventory_transactions_product_id_created_at", "product_id", "created_at"),
        Index("ix_inventory_transactions_reference_type_reference_id", "reference_type", "reference_id"),
        CheckConstraint("quantity <> 0", "quantity"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="RESTRICT"))
    transaction_type: Mapped[MovementType] = mapped_column(index=True)
    quantity: Mapped[int]
    reference_id: Mapped[str | None] = mapped_column(String(64))
    reference_type: Mapped[str | None] = mapped_column(String(30))
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_at: Mapped[datetime]


class OrderHold(Base):
    __tablename__ = "order_holds"

    order_id: Mapped[UUID] = soft_ref("vendor.orders.id", primary_key=True, index=False)
    state: Mapped[HoldState] = mapped_column(index=True)
    hold_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
