"""What the views' requests and answers look like."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from freehold import MoneyNumber
from systems.petpro.bodies import Body, PageOf
from systems.petpro.booking.contract import BookingStatus
from systems.petpro.views.contract import Availability, RebuildState

T = TypeVar("T")


class UserBookingList(PageOf):
    """`from` and `to` are moments between which an appointment starts, both included."""

    user_id: UUID | None = None
    clinic_id: UUID | None = None
    status: BookingStatus | None = None
    first: Annotated[AwareDatetime | None, Field(alias="from")] = None
    last: Annotated[AwareDatetime | None, Field(alias="to")] = None


class AvailabilityList(PageOf):
    """`max_price` is of the cheapest offer."""

    availability: Availability | None = None
    category_id: UUID | None = None
    max_price: Annotated[Decimal | None, Field(ge=0)] = None


class PerformanceList(PageOf):
    pass


class UserBookingOut(Body):
    booking_id: UUID
    user_id: UUID
    user_name: str | None
    user_email: str | None
    pet_id: UUID
    pet_name: str | None
    pet_species: str | None
    clinic_id: UUID
    clinic_name: str | None
    clinic_city: str | None
    service_id: UUID
    service_name: str | None
    reference_code: str
    starts_at: datetime
    ends_at: datetime
    status: str
    payment_status: str
    amount: MoneyNumber
    refunded_amount: MoneyNumber
    currency: str
    has_review: bool
    rating: int | None
    source_version: int
    updated_at: datetime


class OfferOut(Body):
    vendor_id: UUID
    business_name: str | None
    price: MoneyNumber


class AvailabilityOut(Body):
    product_id: UUID
    name: str
    sku: str
    category_id: UUID | None
    category_name: str | None
    regular_price: MoneyNumber
    effective_price: MoneyNumber
    quantity_available: int
    quantity_reserved: int
    reorder_threshold: int
    availability: Availability
    offers: list[OfferOut]
    offer_count: int
    lowest_price: MoneyNumber | None
    is_active: bool
    source_version: int
    stock_version: int
    updated_at: datetime


class PerformanceOut(Body):
    vendor_id: UUID
    business_name: str
    status: str
    active_listings: int
    orders_total: int
    items_sold: int
    items_cancelled: int
    gross_revenue: MoneyNumber
    commission_total: MoneyNumber
    payouts_completed: MoneyNumber
    payouts_outstanding: MoneyNumber
    cancellation_rate: MoneyNumber
    avg_fulfilment_hours: MoneyNumber | None
    last_order_at: datetime | None
    updated_at: datetime


class ViewMeta(Body):
    """The page, unless a cursor was followed; the newest event that is in the view; and which generation was read."""

    page: int | None = None
    limit: int | None = None
    total: int | None = None
    total_pages: int | None = None
    as_of: datetime | None
    generation: int


class ViewPage(Body, Generic[T]):
    data: list[T]
    next_cursor: str | None
    meta: ViewMeta


class StatusOut(Body):
    """`lag_seconds` is the age of the oldest event that has arrived and is not in the view yet."""

    view_name: str
    state: RebuildState
    generation: int
    row_count: int
    last_event_at: datetime | None
    lag_seconds: float
    last_rebuild_started_at: datetime | None
    last_rebuild_finished_at: datetime | None
    error: str | None


class StatusPage(Body):
    data: list[StatusOut]


class RebuildOut(Body):
    view_name: str
    state: RebuildState
    generation: int
