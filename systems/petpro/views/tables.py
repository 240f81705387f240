"""What views owns: View Updater - owns the three materialised cross-service views, their read API and their rebuild."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, synonym

from freehold import ExactDecimal, Money, Percent, Portable, soft_ref
from systems.petpro.views.contract import Availability, RebuildState, ViewRebuilt, ViewStateRow


class Base(Portable, DeclarativeBase):
    """The tables of views."""


class UserBookingRow(Base):
    """A booking with the names of all that take part, as they are now."""

    __tablename__ = "user_bookings_view"
    __table_args__ = (
        Index("ix_user_bookings_view_user_id_starts_at", "user_id", "starts_at"),
        Index("ix_user_bookings_view_clinic_id_starts_at", "clinic_id", "starts_at"),
    )

    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id", primary_key=True, index=False)
    user_id: Mapped[UUID] = soft_ref("auth.users.id", index=False)
    user_name: Mapped[str | None] = mapped_column(String(255))
    user_email: Mapped[str | None] = mapped_column(String(255))
    pet_id: Mapped[UUID] = soft_ref("pet.pets.id")
    pet_name: Mapped[str | None] = mapped_column(String(100))
    pet_species: Mapped[str | None] = mapped_column(String(50))
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id", index=False)
    clinic_name: Mapped[str | None] = mapped_column(String(255))
    clinic_city: Mapped[str | None] = mapped_column(String(100))
    service_id: Mapped[UUID] = soft_ref("booking.services.id")
    service_name: Mapped[str | None] = mapped_column(String(255))
    reference_code: Mapped[str] = mapped_column(String(20))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), index=True)
    payment_status: Mapped[str] = mapped_column(String(20), default="pending")
    amount: Mapped[Money]
    refunded_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    currency: Mapped[str] = mapped_column(String(3), default="IDR")
    has_review: Mapped[bool] = mapped_column(default=False)
    rating: Mapped[int | None]
    source_version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]
    id: Mapped[UUID] = synonym("booking_id")


class AvailabilityRow(Base):
    """A product with its stock and who sells it at which price."""

    __tablename__ = "product_availability_view"

    product_id: Mapped[UUID] = soft_ref("inventory.products.id", primary_key=True, index=False)
    name: Mapped[str] = mapped_column(String(255))
    sku: Mapped[str] = mapped_column(String(50))
    category_id: Mapped[UUID | None] = soft_ref("inventory.product_categories.id")
    category_name: Mapped[str | None] = mapped_column(String(100))
    regular_price: Mapped[Money]
    effective_price: Mapped[Money]
    quantity_available: Mapped[int] = mapped_column(default=0)
    quantity_reserved: Mapped[int] = mapped_column(default=0)
    reorder_threshold: Mapped[int] = mapped_column(default=0)
    availability: Mapped[Availability] = mapped_column(index=True)
    offers: Mapped[list[Any]] = mapped_column(default=list)
    offer_count: Mapped[int] = mapped_column(default=0)
    lowest_price: Mapped[Money | None] = mapped_column(index=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    source_version: Mapped[int] = mapped_column(default=0)
    stock_version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]
    id: Mapped[UUID] = synonym("product_id")


class PerformanceRow(Base):
    """A vendor with what it sold, what of it was cancelled, and what it is owed."""

    __tablename__ = "vendor_performance_view"

    vendor_id: Mapped[UUID] = soft_ref("vendor.vendors.id", primary_key=True, index=False)
    business_name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(20))
    active_listings: Mapped[int] = mapped_column(default=0)
    orders_total: Mapped[int] = mapped_column(default=0)
    items_sold: Mapped[int] = mapped_column(default=0)
    items_cancelled: Mapped[int] = mapped_column(default=0)
    gross_revenue: Mapped[Decimal] = mapped_column(ExactDecimal(14, 2), default=Decimal(0), index=True)
    commission_total: Mapped[Decimal] = mapped_column(ExactDecimal(14, 2), default=Decimal(0))
    payouts_completed: Mapped[Decimal] = mapped_column(ExactDecimal(14, 2), default=Decimal(0))
    payouts_outstanding: Mapped[Decimal] = mapped_column(ExactDecimal(14, 2), default=Decimal(0))
    cancellation_rate: Mapped[Percent] = mapped_column(default=Decimal(0), index=True)
    avg_fulfilment_hours: Mapped[Decimal | None] = mapped_column(ExactDecimal(8, 2))
    last_order_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    id: Mapped[UUID] = synonym("vendor_id")


class EntityRef(Base):
    """What the wide views show of a user, a pet, a clinic, a service or a vendor."""

    __tablename__ = "entity_refs"
    __table_args__ = (Index("ix_entity_refs_entity_type_updated_at", "entity_type", "updated_at"),)

    entity_type: Mapped[str] = mapped_column(String(20), primary_key=True)
    entity_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=0)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_deleted: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str | None] = mapped_column(String(20))  # of a vendor: an event may name it alone
    updated_at: Mapped[datetime]


class ItemFact(Base):
    """A line of an order, as it stands."""

    __tablename__ = "order_item_facts"
    __table_args__ = (Index("ix_order_item_facts_vendor_id_status", "vendor_id", "status"),)

    order_item_id: Mapped[UUID] = soft_ref("vendor.order_items.id", primary_key=True, index=False)
    order_id: Mapped[UUID] = soft_ref("vendor.orders.id")
    vendor_id: Mapped[UUID] = soft_ref("vendor.vendors.id", index=False)
    product_id: Mapped[UUID] = soft_ref("inventory.products.id")
    quantity: Mapped[int]
    subtotal: Mapped[Money]
    commission_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    status: Mapped[str] = mapped_column(String(20))
    ordered_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=0)


class ViewState(Base):
    """Where a wide view stands; `generation` counts rebuilds, and is ahead of what is read while one runs."""

    __tablename__ = "view_state"

    view_name: Mapped[str] = mapped_column(String(50), primary_key=True)
    state: Mapped[RebuildState] = mapped_column(default="empty")
    generation: Mapped[int] = mapped_column(default=0)
    row_count: Mapped[int] = mapped_column(BigInteger, default=0)
    last_event_id: Mapped[UUID | None]
    last_event_at: Mapped[datetime | None]
    last_rebuild_started_at: Mapped[datetime | None]
    last_rebuild_finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    @property
    def generation_read(self) -> int:
        """Which generation readers get."""
        return self.generation - 1 if self.state == "rebuilding" else self.generation

    def saw(self, event_id: UUID, at: datetime) -> None:
        """An event is in the view."""
        self.last_event_id, self.last_event_at = event_id, at
        if self.state == "empty":
            self.state = "live"

    def start(self, now: datetime) -> None:
        """A rebuild begins."""
        self.state, self.generation, self.error = "rebuilding", self.generation + 1, None
        self.last_rebuild_started_at, self.last_rebuild_finished_at = now, None

    def finish(self, rows: int, now: datetime) -> ViewRebuilt:
        """It is done: the new generation is read."""
        self.state, self.row_count, self.last_rebuild_finished_at = "live", rows, now
        took = now - (self.last_rebuild_started_at or now)
        return ViewRebuilt(
            view_name=self.view_name,
            generation=self.generation,
            row_count=rows,
            duration_ms=took // timedelta(milliseconds=1),
            finished_at=now,
        )

    def fail(self, error: str) -> None:
        """It could not be done: readers keep the generation that they have."""
        self.state, self.generation, self.error = "failed", self.generation - 1, error

    def as_row(self) -> ViewStateRow:
        """As siblings see it."""
        return ViewStateRow.model_validate(self, from_attributes=True)
