"""What ticket owns: the catalogue of events and shows, and the seats of their zones."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import ExactDecimal, Money, Portable, TimeOfDay, soft_ref, uuid7
from systems.booking_rush.ticket.contract import EventStatus, ShowStatus


class Base(Portable, DeclarativeBase):
    """The tables of ticket."""


class Category(Base):
    __tablename__ = "categories"
    __table_args__ = (UniqueConstraint("tenant_id", "slug"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    name: Mapped[str] = mapped_column(String(100))
    slug: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    icon: Mapped[str | None] = mapped_column(String(50))
    sort_order: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Event(Base):
    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("tenant_id", "slug"),
        CheckConstraint("max_tickets_per_user >= 0", name="max_tickets"),
        CheckConstraint(
            "booking_end_at IS NULL OR booking_start_at IS NULL OR booking_end_at >= booking_start_at",
            name="booking_window",
        ),
        Index("ix_events_public", "is_public", postgresql_where=text("is_public"), sqlite_where=text("is_public")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    organizer_id: Mapped[UUID] = soft_ref("auth.users.id")
    category_id: Mapped[UUID | None] = mapped_column(ForeignKey("categories.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str] = mapped_column(String(255), index=True)
    description: Mapped[str | None] = mapped_column(Text)
    short_description: Mapped[str | None] = mapped_column(String(500))
    poster_url: Mapped[str | None] = mapped_column(Text)
    banner_url: Mapped[str | None] = mapped_column(Text)
    gallery: Mapped[list[Any]] = mapped_column(default=list)
    venue_name: Mapped[str | None] = mapped_column(String(255))
    venue_address: Mapped[str | None] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(String(100))
    country: Mapped[str | None] = mapped_column(String(100))
    latitude: Mapped[Decimal | None] = mapped_column(ExactDecimal(10, 8))
    longitude: Mapped[Decimal | None] = mapped_column(ExactDecimal(11, 8))
    max_tickets_per_user: Mapped[int] = mapped_column(default=10)
    booking_start_at: Mapped[datetime | None]
    booking_end_at: Mapped[datetime | None]
    status: Mapped[EventStatus] = mapped_column(default="draft", index=True)
    is_featured: Mapped[bool] = mapped_column(default=False)
    is_public: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Show(Base):
    """One evening of an event. Its counts are the sums over its living zones."""

    __tablename__ = "shows"
    __table_args__ = (
        CheckConstraint("total_capacity >= 0", name="total_capacity"),
        CheckConstraint("reserved_count >= 0", name="reserved_count"),
        CheckConstraint("sold_count >= 0", name="sold_count"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(String(255))
    show_date: Mapped[date]
    start_time: Mapped[TimeOfDay]
    end_time: Mapped[TimeOfDay | None]
    doors_open_at: Mapped[TimeOfDay | None]
    status: Mapped[ShowStatus] = mapped_column(default="scheduled", index=True)
    sale_start_at: Mapped[datetime | None]
    sale_end_at: Mapped[datetime | None]
    total_capacity: Mapped[int] = mapped_column(default=0)
    reserved_count: Mapped[int] = mapped_column(default=0)
    sold_count: Mapped[int] = mapped_column(default=0)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Zone(Base):
    """A block of seats with one price. Every seat is available, reserved or sold, and the database insists on it."""

    __tablename__ = "seat_zones"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("total_seats > 0", name="total_seats"),
        CheckConstraint("available_seats >= 0", name="available_seats"),
        CheckConstraint("reserved_seats >= 0", name="reserved_seats"),
        CheckConstraint("sold_seats >= 0", name="sold_seats"),
        CheckConstraint("available_seats + reserved_seats + sold_seats = total_seats", name="seats_add_up"),
        CheckConstraint("min_per_order >= 1", name="min_per_order"),
        CheckConstraint("max_per_order >= min_per_order", name="max_per_order"),
        Index(
            "ix_seat_zones_available",
            "show_id",
            "available_seats",
            postgresql_where=text("is_active AND available_seats > 0"),
            sqlite_where=text("is_active AND available_seats > 0"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    show_id: Mapped[UUID] = mapped_column(ForeignKey("shows.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    color: Mapped[str | None] = mapped_column(String(7))
    price: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3), default="THB")
    total_seats: Mapped[int]
    available_seats: Mapped[int]
    reserved_seats: Mapped[int] = mapped_column(default=0)
    sold_seats: Mapped[int] = mapped_column(default=0)
    min_per_order: Mapped[int] = mapped_column(default=1)
    max_per_order: Mapped[int] = mapped_column(default=10)
    is_active: Mapped[bool] = mapped_column(default=True)
    sort_order: Mapped[int] = mapped_column(default=0)
    sale_start_at: Mapped[datetime | None]
    sale_end_at: Mapped[datetime | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    @property
    def committed_seats(self) -> int:
        """Seats that somebody holds or has bought."""
        return self.reserved_seats + self.sold_seats


class TenantDirectory(Base):
    """View: the tenants, as auth tells."""

    __tablename__ = "tenant_directory"

    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id", index=False, primary_key=True)
    slug: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool]
    version_at: Mapped[datetime]
