"""What other services may know of vendor."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import After, Event, Money, Page, Percent, Query, Timestamp

OrderPaymentStatus = Literal["pending", "success", "failed", "refund_pending", "refunded", "partially_refunded"]
OrderStatus = Literal["pending", "processing", "shipped", "delivered", "cancelled", "refunded"]
PayoutStatus = Literal["pending", "processing", "completed", "failed"]
RefundStatus = Literal["pending", "done"]
ReservationState = Literal["requested", "reserved", "failed", "released", "committed"]
VendorStatus = Literal["pending", "approved", "rejected", "suspended"]


# --- events -----------------------------------------------------------------------------------------------------------


class OrderedItem(BaseModel):
    order_item_id: UUID
    product_id: UUID
    vendor_id: UUID
    quantity: int
    unit_price: Money
    subtotal: Money
    tax: Money
    commission_amount: Money


class StockLine(BaseModel):
    order_item_id: UUID
    product_id: UUID
    quantity: int


class ItemStatus(BaseModel):
    order_item_id: UUID
    vendor_id: UUID
    status: str
    delivered_at: Timestamp | None


class VendorFact(Event):
    """What is told of a vendor."""

    vendor_id: UUID
    user_id: UUID
    business_name: str
    business_type: str
    status: str
    commission_rate: Percent
    version: int


class VendorCreated(VendorFact, name="vendor.created", topic="petpro.vendor.vendors", key="vendor_id"):
    created_at: Timestamp


class VendorUpdated(VendorFact, name="vendor.updated", topic="petpro.vendor.vendors", key="vendor_id"):
    updated_at: Timestamp


class VendorStatusChanged(Event, name="vendor.status_changed", topic="petpro.vendor.vendors", key="vendor_id"):
    vendor_id: UUID
    previous_status: str
    status: str
    reason: str | None
    version: int
    changed_at: Timestamp


class VendorProductChanged(Event, name="vendor_product.changed", topic="petpro.vendor.listings", key="product_id"):
    vendor_product_id: UUID
    vendor_id: UUID
    product_id: UUID
    marketplace_price: Money
    is_active: bool
    change: str
    changed_at: Timestamp


class OrderCreated(Event, name="order.created", topic="petpro.vendor.orders", key="order_id"):
    order_id: UUID
    order_number: str
    customer_id: UUID
    total_amount: Money
    currency: str
    status: str
    items: list[OrderedItem]
    payment_due_at: Timestamp
    version: int
    created_at: Timestamp


class InventoryReserved(Event, name="inventory.reserved", topic="petpro.vendor.reservations", key="order_id"):
    order_id: UUID
    order_number: str
    items: list[StockLine]
    hold_until: Timestamp


class OrderPaid(Event, name="order.paid", topic="petpro.vendor.orders", key="order_id"):
    order_id: UUID
    payment_id: UUID
    amount: Money
    currency: str
    items: list[StockLine]
    version: int
    paid_at: Timestamp


class OrderStatusChanged(Event, name="order.status_changed", topic="petpro.vendor.orders", key="order_id"):
    order_id: UUID
    previous_status: str
    status: str
    items: list[ItemStatus]
    version: int
    changed_at: Timestamp


class OrderCancelled(Event, name="order.cancelled", topic="petpro.vendor.orders", key="order_id"):
    order_id: UUID
    reason: str
    stock_action: str
    status: str
    items: list[StockLine]
    refund_amount: Money
    version: int
    cancelled_at: Timestamp


class OrderRefunded(Event, name="order.refunded", topic="petpro.vendor.refunds", key="order_id"):
    refund_id: UUID
    order_id: UUID
    amount: Money
    refunded_total: Money
    currency: str
    refunded_at: Timestamp


class PayoutCreated(Event, name="payout.created", topic="petpro.vendor.payouts", key="vendor_id"):
    payout_id: UUID
    vendor_id: UUID
    amount: Money
    currency: str
    reference_number: str
    item_count: int
    created_at: Timestamp


class PayoutCompleted(Event, name="payout.completed", topic="petpro.vendor.payouts", key="vendor_id"):
    payout_id: UUID
    vendor_id: UUID
    amount: Money
    currency: str
    reference_number: str
    payout_date: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class VendorRow(BaseModel):
    """A vendor, as siblings keep one."""

    vendor_id: UUID
    user_id: UUID
    business_name: str
    business_type: str
    status: VendorStatus
    commission_rate: Percent
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class GetVendor(Query[VendorRow], path="/internal/vendors/{vendor_id}"):
    """404 `VENDOR_NOT_FOUND` for one that is unknown."""

    vendor_id: UUID


class ListingRow(BaseModel):
    """What a vendor asks for a product."""

    vendor_product_id: UUID
    vendor_id: UUID
    product_id: UUID
    marketplace_price: Money
    is_active: bool
    updated_at: Timestamp


class OrderItemRow(BaseModel):
    """A line of an order with the moments that count for its vendor."""

    order_item_id: UUID
    order_id: UUID
    vendor_id: UUID
    product_id: UUID
    quantity: int
    subtotal: Money
    commission_amount: Money
    status: OrderStatus
    ordered_at: Timestamp
    delivered_at: Timestamp | None
    version: int
    updated_at: Timestamp


class PayoutRow(BaseModel):
    payout_id: UUID
    vendor_id: UUID
    amount: Money
    status: PayoutStatus
    updated_at: Timestamp


class PaymentNotice(BaseModel):
    status: Literal["ok"] = "ok"


class TakePaymentNotice(Query[PaymentNotice], path="/internal/payment-notices", method="POST"):
    """A webhook of the payment gateway that came to booking and is about an order: the raw body and its signature."""

    body: str
    signature: str | None


class SnapshotVendors(Query[Page[VendorRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["vendors"] = "vendors"
    cursor: After = None
    limit: int = 500


class SnapshotListings(Query[Page[ListingRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["listings"] = "listings"
    cursor: After = None
    limit: int = 500


class SnapshotOrderItems(Query[Page[OrderItemRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["order_items"] = "order_items"
    cursor: After = None
    limit: int = 500


class SnapshotPayouts(Query[Page[PayoutRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["payouts"] = "payouts"
    cursor: After = None
    limit: int = 500
