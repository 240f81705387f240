"""What inventory owns: product catalogue, categories, stock and the stock ledger."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from freehold import Money, Portable, soft_ref, uuid7
from systems.petpro.inventory.contract import (
    HoldState,
    InventoryChanged,
    InventoryLowStock,
    MovementType,
    ProductCreated,
    ProductDeactivated,
    ProductRow,
    ProductUpdated,
    StockRow,
)
from systems.petpro.inventory.rules import Availability, Level, after, availability_of


class Base(Portable, DeclarativeBase):
    """The tables of inventory."""


class Category(Base):
    """A drawer of the catalogue; it may lie in another one."""

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
    """Something that can be sold. It is never deleted, only taken off sale."""

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

    # A page of products then takes three statements, however long it is.
    category: Mapped[Category] = relationship(lazy="selectin")
    stock: Mapped[Stock] = relationship(lazy="selectin")

    @property
    def effective_price(self) -> Decimal:
        """What it costs today."""
        return self.sale_price if self.on_sale and self.sale_price is not None else self.regular_price

    @property
    def quantity_available(self) -> int:
        """How many are free to sell."""
        return self.stock.quantity_available

    @property
    def availability(self) -> Availability:
        """In a word."""
        return availability_of(self.is_active, self.stock.quantity_available, self.stock.reorder_threshold)

    def touch(self, now: datetime) -> None:
        """It is about to change."""
        self.updated_at, self.version = now, self.version + 1

    def created(self) -> ProductCreated:
        """The event that says so."""
        return ProductCreated(**self._facts(), created_at=self.created_at)

    def updated(self) -> ProductUpdated:
        """The event that says so."""
        return ProductUpdated(**self._facts(), updated_at=self.updated_at)

    def deactivated(self, reason: str) -> ProductDeactivated:
        """The event that says so."""
        return ProductDeactivated(
            product_id=self.id, reason=reason, version=self.version, deactivated_at=self.updated_at
        )

    def as_row(self) -> ProductRow:
        """As siblings keep it."""
        return ProductRow(**self._facts(), updated_at=self.updated_at)

    def _facts(self) -> dict[str, Any]:
        return {
            "product_id": self.id,
            "sku": self.sku,
            "name": self.name,
            "category_id": self.category_id,
            "category_name": self.category.name,
            "vendor_id": self.vendor_id,
            "regular_price": self.regular_price,
            "sale_price": self.sale_price,
            "on_sale": self.on_sale,
            "image_url": self.images[0] if self.images else None,
            "is_active": self.is_active,
            "version": self.version,
        }


class Stock(Base):
    """How much there is of a product: always the sums of its movements."""

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
    low_stock_told_at: Mapped[datetime | None]

    @property
    def level(self) -> Level:
        """Both quantities."""
        return Level(self.quantity_available, self.quantity_reserved)

    def move(self, kind: MovementType, quantity: int, now: datetime) -> InventoryChanged:
        """Book a movement, signed as in the ledger; the event that says so. Raises ValueError when it cannot be."""
        level = after(self.level, kind, quantity)
        self.quantity_available, self.quantity_reserved = level.available, level.reserved
        if kind == "stock_in":
            self.last_restock_date = now
        return self.changed(kind, quantity, now)

    def changed(self, kind: MovementType, quantity: int, now: datetime) -> InventoryChanged:
        """Raise the version; the event that says so."""
        self.updated_at, self.version = now, self.version + 1
        return InventoryChanged(
            product_id=self.product_id,
            quantity_available=self.quantity_available,
            quantity_reserved=self.quantity_reserved,
            reorder_threshold=self.reorder_threshold,
            transaction_type=kind,
            quantity=quantity,
            version=self.version,
            changed_at=now,
        )

    def low(self, product: Product, now: datetime) -> InventoryLowStock:
        """The event that says it is running out."""
        self.low_stock_told_at = now
        return InventoryLowStock(
            product_id=self.product_id,
            product_name=product.name,
            vendor_id=product.vendor_id,
            quantity_available=self.quantity_available,
            reorder_threshold=self.reorder_threshold,
            detected_at=now,
        )

    def as_row(self) -> StockRow:
        """As siblings keep it."""
        return StockRow.model_validate(self, from_attributes=True)


class StockMovement(Base):
    """A line of the stock ledger; it is never changed."""

    __tablename__ = "inventory_transactions"
    __table_args__ = (
        Index(
            "uq_inventory_transactions_order_item_movement",
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
    """What became of an order's wish for stock; there before the wish itself when its cancellation was faster."""

    __tablename__ = "order_holds"

    order_id: Mapped[UUID] = soft_ref("vendor.orders.id", primary_key=True, index=False)
    state: Mapped[HoldState] = mapped_column(index=True)
    hold_until: Mapped[datetime | None]
    lines: Mapped[list[Any]] = mapped_column(default=list)
    rejection: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def become(self, state: HoldState, now: datetime) -> None:
        """Go over to the state."""
        self.state, self.updated_at = state, now
