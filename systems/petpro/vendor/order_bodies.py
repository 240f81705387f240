"""What vendor is asked about orders and payouts, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from freehold import MoneyNumber, Timestamp
from systems.petpro.bodies import Body, PageOf
from systems.petpro.vendor.bodies import Reason
from systems.petpro.vendor.contract import OrderPaymentStatus, OrderStatus, PayoutStatus, ReservationState

PaymentMethod = Literal["credit_card", "bank_transfer", "e_wallet"]
Address = Annotated[dict[str, Any], Field(min_length=1)]

# --- orders -----------------------------------------------------------------------------------------------------------


class WantedItem(Body):
    product_id: UUID
    vendor_id: UUID | None = None
    quantity: Annotated[int, Field(ge=1, le=999)]


class NewOrder(Body):
    items: Annotated[list[WantedItem], Field(min_length=1, max_length=50)]
    shipping_address: Address
    billing_address: Address | None = None
    payment_method: PaymentMethod
    notes: Annotated[str, Field(max_length=500)] | None = None


class ItemOut(Body):
    id: UUID
    product_id: UUID
    vendor_id: UUID
    product_snapshot: dict[str, Any]
    quantity: int
    unit_price: MoneyNumber
    subtotal: MoneyNumber
    tax: MoneyNumber
    status: OrderStatus
    delivered_at: Timestamp | None
    tracking_number: str | None


class OrderPaymentOut(Body):
    id: UUID
    amount: MoneyNumber
    currency: str
    payment_method: str
    status: OrderPaymentStatus
    refunded_amount: MoneyNumber
    payment_url: str | None
    paid_at: Timestamp | None


class OrderOut(Body):
    id: UUID
    order_number: str
    customer_id: UUID
    status: OrderStatus
    reservation_state: ReservationState
    total_amount: MoneyNumber
    items: list[ItemOut]
    payment: OrderPaymentOut | None
    payment_method: str
    shipping_address: dict[str, Any]
    billing_address: dict[str, Any]
    notes: str | None
    cancellation_reason: str | None
    order_date: Timestamp
    payment_due_at: Timestamp
    created_at: Timestamp
    updated_at: Timestamp


class OrderList(PageOf):
    status: OrderStatus | None = None


class Cancellation(Body):
    reason: Reason


class Progress(Body):
    """`refunded` is for administrators."""

    status: Literal["shipped", "delivered", "refunded"]
    item_ids: Annotated[list[UUID], Field(min_length=1, max_length=50)] | None = None
    tracking_number: Annotated[str, Field(min_length=1, max_length=100)] | None = None


# --- payouts ----------------------------------------------------------------------------------------------------------


class PaidItem(Body):
    id: UUID
    order_id: UUID
    product_id: UUID
    quantity: int
    subtotal: MoneyNumber
    commission_amount: MoneyNumber
    delivered_at: Timestamp | None


class PayoutOut(Body):
    id: UUID
    vendor_id: UUID
    amount: MoneyNumber
    currency: str
    status: PayoutStatus
    reference_number: str
    transaction_details: dict[str, Any]
    payout_date: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    items: list[PaidItem]


class PayoutRun(Body):
    vendor_id: UUID | None = None


class PayoutsMade(Body):
    created: list[PayoutOut]
    total: MoneyNumber


class PayoutStatusChange(Body):
    status: Literal["processing", "completed", "failed"]
    reference_number: Annotated[str, Field(min_length=1, max_length=100)] | None = None
