"""What other services may know of inventory."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import After, Event, Money, Page, Query, Timestamp

HoldState = Literal["reserved", "rejected", "committed", "released", "returned", "cancelled_early"]
MovementType = Literal["stock_in", "stock_out", "adjustment", "reservation", "release", "damaged", "returned"]


# --- events -----------------------------------------------------------------------------------------------------------


class StockLine(BaseModel):
    order_item_id: UUID
    product_id: UUID
    quantity: int


class Shortage(BaseModel):
    order_item_id: UUID
    product_id: UUID
    requested: int
    available: int


class ProductFact(Event):
    """What is told of a product."""

    product_id: UUID
    sku: str
    name: str
    category_id: UUID
    category_name: str | None
    vendor_id: UUID | None
    regular_price: Money
    sale_price: Money | None
    on_sale: bool
    image_url: str | None
    is_active: bool
    version: int


class ProductCreated(ProductFact, name="product.created", topic="petpro.inventory.products", key="product_id"):
    created_at: Timestamp


class ProductUpdated(ProductFact, name="product.updated", topic="petpro.inventory.products", key="product_id"):
    updated_at: Timestamp


class ProductDeactivated(Event, name="product.deactivated", topic="petpro.inventory.products", key="product_id"):
    product_id: UUID
    reason: str
    version: int
    deactivated_at: Timestamp


class InventoryChanged(Event, name="inventory.changed", topic="petpro.inventory.stock", key="product_id"):
    product_id: UUID
    quantity_available: int
    quantity_reserved: int
    reorder_threshold: int
    transaction_type: str
    quantity: int
    version: int
    changed_at: Timestamp


class InventoryLowStock(Event, name="inventory.low_stock", topic="petpro.inventory.stock", key="product_id"):
    product_id: UUID
    product_name: str
    vendor_id: UUID | None
    quantity_available: int
    reorder_threshold: int
    detected_at: Timestamp


class InventoryReservationConfirmed(
    Event, name="inventory.reservation_confirmed", topic="petpro.inventory.reservations", key="order_id"
):
    order_id: UUID
    items: list[StockLine]
    reserved_at: Timestamp


class InventoryReservationFailed(
    Event, name="inventory.reservation_failed", topic="petpro.inventory.reservations", key="order_id"
):
    order_id: UUID
    reason: str
    shortages: list[Shortage]
    failed_at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class ProductRow(BaseModel):
    """A product, as siblings keep one."""

    product_id: UUID
    sku: str
    name: str
    category_id: UUID
    category_name: str | None
    vendor_id: UUID | None
    regular_price: Money
    sale_price: Money | None
    on_sale: bool
    image_url: str | None
    is_active: bool
    version: int
    updated_at: Timestamp


class GetProduct(Query[ProductRow], path="/internal/products/{product_id}"):
    """404 `PRODUCT_NOT_FOUND` for one that is unknown."""

    product_id: UUID


class StockRow(BaseModel):
    product_id: UUID
    quantity_available: int
    quantity_reserved: int
    reorder_threshold: int
    version: int
    updated_at: Timestamp


class GetStock(Query[StockRow], path="/internal/stock/{product_id}"):
    """404 `PRODUCT_NOT_FOUND` for a product that is unknown."""

    product_id: UUID


class WantedStock(BaseModel):
    product_id: UUID
    quantity: int


class StockShortage(BaseModel):
    product_id: UUID
    requested: int
    available: int


class StockAnswer(BaseModel):
    ok: bool
    shortages: list[StockShortage]


class CheckStock(Query[StockAnswer], path="/internal/stock/check", method="POST"):
    """Whether all of it is there now; reserves nothing."""

    items: list[WantedStock]


class SnapshotProducts(Query[Page[ProductRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["products"] = "products"
    cursor: After = None
    limit: int = 500


class SnapshotStock(Query[Page[StockRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["stock"] = "stock"
    cursor: After = None
    limit: int = 500
