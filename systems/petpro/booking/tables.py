"""What booking owns: service catalogue, time slots, reservations, bookings, reviews; its money is in `money_tables`."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Percent, Portable, soft_ref, uuid7
from systems.petpro.booking.contract import (
    BookingStatus,
    ReservationStatus,
    ServiceCategory,
    SlotStatus,
)
from systems.petpro.booking.rules import check_transition


class Base(Portable, DeclarativeBase):
    """The tables of booking."""


class ClinicService(Base):
    """A service as its clinic defines it."""

    __tablename__ = "services"
    __table_args__ = (
        CheckConstraint("price >= 0", "price"),
        CheckConstraint("duration_minutes >= 5 AND duration_minutes <= 480", "duration_minutes"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id")
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    price: Mapped[Money] = mapped_column(index=True)
    duration_minutes: Mapped[int] = mapped_column(default=30)
    requires_approval: Mapped[bool] = mapped_column(default=False)
    is_available: Mapped[bool] = mapped_column(default=True, index=True)
    availability_exceptions: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    category: Mapped[ServiceCategory] = mapped_column(default="veterinary")
    version: Mapped[int] = mapped_column(default=1)

    def touch(self, now: datetime) -> None:
        """It was changed."""
        self.updated_at, self.version = now, self.version + 1


class Slot(Base):
    """A stretch of a clinic's day, in its local time, with seats."""

    __tablename__ = "slots"
    __table_args__ = (
        UniqueConstraint("service_id", "staff_id", "slot_date", "slot_start_time", postgresql_nulls_not_distinct=True),
        Index("ix_slots_service_id_slot_date", "service_id", "slot_date"),
        Index("ix_slots_staff_id_slot_date", "staff_id", "slot_date"),
        Index(
            "ix_slots_slot_date_slot_start_time",
            "slot_date",
            "slot_start_time",
            postgresql_where=text("status = 'available'"),
            sqlite_where=text("status = 'available'"),
        ),
        CheckConstraint("capacity >= 1", "capacity"),
        CheckConstraint("booked_count >= 0 AND booked_count <= capacity", "booked_count"),
        CheckConstraint("slot_end_time > slot_start_time", "slot_end_time"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"))
    staff_id: Mapped[UUID | None] = soft_ref("clinic.staff.id", index=False)
    slot_date: Mapped[date]
    slot_start_time: Mapped[time]
    slot_end_time: Mapped[time]
    status: Mapped[SlotStatus] = mapped_column(default="available")
    capacity: Mapped[int] = mapped_column(default=1)
    booked_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Reservation(Base):
    """A seat held for a pet: for a while, and for good once it is confirmed."""

    __tablename__ = "reservations"
    __table_args__ = (
        Index(
            "uq_reservations_user_id_pet_id_slot_id",
            "user_id",
            "pet_id",
            "slot_id",
            unique=True,
            postgresql_where=text("status = 'pending'"),
            sqlite_where=text("status = 'pending'"),
        ),
        Index(
            "ix_reservations_expires_at_live",
            "expires_at",
            postgresql_where=text("status = 'pending'"),
            sqlite_where=text("status = 'pending'"),
        ),
        CheckConstraint("extend_count <= 1", "extend_count"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    pet_id: Mapped[UUID] = soft_ref("pet.pets.id")
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id", ondelete="RESTRICT"), index=True)
    slot_id: Mapped[UUID] = mapped_column(ForeignKey("slots.id", ondelete="RESTRICT"), index=True)
    lock_id: Mapped[str] = mapped_column(String(100), unique=True)
    status: Mapped[ReservationStatus] = mapped_column(default="pending")
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    extend_count: Mapped[int] = mapped_column(SmallInteger, default=0)

    def end(self, status: Literal["confirmed", "cancelled", "expired"], now: datetime) -> None:
        """It holds its seat no longer for a while: for good, or not at all."""
        self.status, self.updated_at = status, now


class Booking(Base):
    """An appointment, from its payment to its end."""

    __tablename__ = "bookings"
    __table_args__ = (
        Index("ix_bookings_user_id_status", "user_id", "status"),
        Index("ix_bookings_clinic_id_status", "clinic_id", "status"),
        Index(
            "ix_bookings_pet_id_live",
            "pet_id",
            postgresql_where=text("status IN ('pending_payment','pending_approval','confirmed','in_progress')"),
            sqlite_where=text("status IN ('pending_payment','pending_approval','confirmed','in_progress')"),
        ),
        CheckConstraint("amount >= 0", "amount"),
        CheckConstraint("status <> 'cancelled' OR holds_seat = false", "status_cancelled"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    reservation_id: Mapped[UUID | None] = mapped_column(ForeignKey("reservations.id", ondelete="SET NULL"), unique=True)
    user_id: Mapped[UUID] = soft_ref("auth.users.id", index=False)
    pet_id: Mapped[UUID] = soft_ref("pet.pets.id")
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id", index=False)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id", ondelete="RESTRICT"), index=True)
    slot_id: Mapped[UUID] = mapped_column(ForeignKey("slots.id", ondelete="RESTRICT"), index=True)
    payment_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("payments.id", ondelete="SET NULL", use_alter=True), index=True
    )
    reference_code: Mapped[str] = mapped_column(String(20), unique=True)
    amount: Mapped[Money]
    status: Mapped[BookingStatus] = mapped_column(default="pending_payment")
    cancellation_reason: Mapped[str | None] = mapped_column(String(255))
    notes: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime]
    snapshot: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reschedule_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    holds_seat: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    staff_id: Mapped[UUID | None] = soft_ref("clinic.staff.id")
    starts_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    """When it was completed, cancelled or missed."""

    def move(self, status: BookingStatus, now: datetime) -> BookingStatus:
        """Take the next state; the one before. Raises Problem 409 when it does not follow."""
        before = self.status
        check_transition(before, status)
        self.status = status
        if status in ("completed", "cancelled", "no_show"):
            self.ended_at = now
        self.touch(now)
        return before

    def touch(self, now: datetime) -> None:
        """It was changed."""
        self.updated_at, self.version = now, self.version + 1


class Review(Base):
    """What a customer says of a completed booking. Deleted reviews are gone, so that the booking can have another."""

    __tablename__ = "reviews"
    __table_args__ = (
        Index("ix_reviews_clinic_id_is_published_created_at", "clinic_id", "is_published", "created_at"),
        CheckConstraint("rating BETWEEN 1 AND 5", "rating"),
        CheckConstraint("helpful_count >= 0", "helpful_count"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"), unique=True)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id", index=False)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id", ondelete="RESTRICT"), index=True)
    rating: Mapped[int]
    comment: Mapped[str | None] = mapped_column(Text)
    attachments: Mapped[list[Any]] = mapped_column(default=list)
    is_verified: Mapped[bool] = mapped_column(default=True)
    is_published: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    anonymous: Mapped[bool] = mapped_column(default=False)
    helpful_count: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)

    def touch(self, now: datetime) -> None:
        """It is another version now."""
        self.updated_at = now
        self.version += 1


class HelpfulVote(Base):
    """Somebody found a review helpful."""

    __tablename__ = "review_helpful"
    __table_args__ = (UniqueConstraint("review_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    review_id: Mapped[UUID] = mapped_column(ForeignKey("reviews.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    created_at: Mapped[datetime]


class UserRef(Base):
    """A copy of a user."""

    __tablename__ = "user_refs"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    email: Mapped[str | None] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(255))
    phone_number: Mapped[str | None] = mapped_column(String(20))
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]


class PetRef(Base):
    """A copy of a pet."""

    __tablename__ = "pet_refs"

    pet_id: Mapped[UUID] = soft_ref("pet.pets.id", primary_key=True, index=False)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    name: Mapped[str | None] = mapped_column(String(100))
    species: Mapped[str | None] = mapped_column(String(50))
    breed: Mapped[str | None] = mapped_column(String(100))
    is_deleted: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]


class ClinicRef(Base):
    """A copy of a clinic."""

    __tablename__ = "clinic_refs"

    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id", primary_key=True, index=False)
    owner_id: Mapped[UUID] = soft_ref("auth.users.id")
    name: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(20))
    commission_rate: Mapped[Percent] = mapped_column(default=Decimal("10.00"))
    timezone: Mapped[str] = mapped_column(String(50), default="Asia/Jakarta")
    operating_hours: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]


class OfferingRef(Base):
    """A copy of what a clinic makes of a service."""

    __tablename__ = "offering_refs"

    service_id: Mapped[UUID] = soft_ref("clinic.clinic_services.service_id", primary_key=True, index=False)
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id")
    is_active: Mapped[bool] = mapped_column(default=True)
    price_override: Mapped[Money | None]
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]
