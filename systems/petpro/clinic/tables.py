"""What clinic owns: clinics, staff, which services each clinic offers, documents, rating aggregate."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, column
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, synonym

from freehold import Coordinates, ExactDecimal, Money, Percent, Portable, soft_ref, uuid7
from systems.petpro.clinic.contract import ClinicStatus, DocumentType


class Base(Portable, DeclarativeBase):
    """The tables of clinic."""


class Clinic(Base):
    """A clinic, with its terms and whether the public may book there."""

    __tablename__ = "clinics"
    __table_args__ = (
        Index("ix_clinics_city_province", "city", "province"),
        # Written with its type, since not every engine stores 100.00 as 100.
        CheckConstraint(column("commission_rate", ExactDecimal(5, 2)).between(0, 100), "commission_rate"),
        CheckConstraint("latitude IS NULL OR latitude BETWEEN -90 AND 90", "latitude"),
        CheckConstraint("longitude IS NULL OR longitude BETWEEN -180 AND 180", "longitude"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    owner_id: Mapped[UUID] = soft_ref("auth.users.id")
    name: Mapped[str] = mapped_column(String(255))
    address: Mapped[str] = mapped_column(String(500))
    city: Mapped[str] = mapped_column(String(100))
    province: Mapped[str] = mapped_column(String(100))
    postal_code: Mapped[str] = mapped_column(String(10))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    phone_number: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(String(255))
    website: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    operating_hours: Mapped[dict[str, Any]] = mapped_column(default=dict)
    facilities: Mapped[list[Any]] = mapped_column(default=list)
    status: Mapped[ClinicStatus] = mapped_column(default="pending", index=True)
    commission_rate: Mapped[Percent] = mapped_column(default=Decimal("10.00"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    timezone: Mapped[str] = mapped_column(String(50), default="Asia/Jakarta")
    version: Mapped[int] = mapped_column(default=1)

    @property
    def place(self) -> Coordinates | None:
        """Where it is, if it said so."""
        if self.longitude is None or self.latitude is None:
            return None
        return Coordinates(self.longitude, self.latitude)

    def touch(self, now: datetime) -> None:
        """It is another version now."""
        self.updated_at = now
        self.version += 1


class StaffMember(Base):
    """Somebody who works at a clinic; `user_id` is their login, if they have one."""

    __tablename__ = "staff"
    __table_args__ = (
        UniqueConstraint("clinic_id", "email"),
        CheckConstraint("role IN ('veterinarian','assistant','groomer','receptionist','manager')", "role"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(255))
    phone: Mapped[str | None] = mapped_column(String(20))
    role: Mapped[str] = mapped_column(String(50), index=True)
    specialization: Mapped[str | None] = mapped_column(String(100))
    photo_url: Mapped[str | None] = mapped_column(String(500))
    working_hours: Mapped[dict[str, Any]] = mapped_column(default=dict)
    qualifications: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    user_id: Mapped[UUID | None] = soft_ref("auth.users.id")
    is_active: Mapped[bool] = mapped_column(default=True)


class Offering(Base):
    """That a clinic offers a service that booking defined, and at what price of its own."""

    __tablename__ = "clinic_services"
    __table_args__ = (
        UniqueConstraint("clinic_id", "service_id"),
        CheckConstraint("price_override IS NULL OR price_override >= 0", "price_override"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"))
    service_id: Mapped[UUID] = soft_ref("booking.services.id", unique=True, index=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    price_override: Mapped[Money | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)
    definition: Mapped[dict[str, Any]] = mapped_column(default=dict)

    @property
    def price(self) -> Decimal | None:
        """What booking says it costs; None while the definition is missing."""
        price = self.definition.get("price")
        return None if price is None else Decimal(price)

    def define(self, definition: dict[str, Any]) -> bool:
        """Take booking's definition over unless it is older than the known one; whether it was taken."""
        if definition["version"] <= self.definition.get("version", 0):
            return False
        self.definition = definition
        return True

    def touch(self, now: datetime) -> None:
        """It is another version now."""
        self.updated_at = now
        self.version += 1


class Document(Base):
    """A document that a clinic shows to the platform, verified or not."""

    __tablename__ = "clinic_documents"
    __table_args__ = (
        Index("ix_clinic_documents_clinic_id_document_type", "clinic_id", "document_type"),
        CheckConstraint("is_verified = (verified_at IS NOT NULL)", "is_verified"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"))
    document_type: Mapped[DocumentType]
    document_name: Mapped[str] = mapped_column(String(255))
    document_url: Mapped[str] = mapped_column(String(500))
    is_verified: Mapped[bool] = mapped_column(default=False)
    verified_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Rating(Base):
    """What the counted reviews of a clinic come to."""

    __tablename__ = "clinic_ratings"
    __table_args__ = (
        CheckConstraint("avg_rating >= 0 AND avg_rating <= 5", "avg_rating"),
        CheckConstraint("review_count >= 0", "review_count"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), unique=True)
    avg_rating: Mapped[float] = mapped_column(default=0)
    review_count: Mapped[int] = mapped_column(default=0)
    rating_distribution: Mapped[dict[str, Any]] = mapped_column(
        default=lambda: {"1": 0, "2": 0, "3": 0, "4": 0, "5": 0}
    )
    last_updated: Mapped[datetime]


class ReviewRef(Base):
    """A review as booking tells it, so that the rating can be counted anew."""

    __tablename__ = "review_refs"
    __table_args__ = (CheckConstraint("rating BETWEEN 1 AND 5", "rating"),)

    review_id: Mapped[UUID] = soft_ref("booking.reviews.id", primary_key=True, index=False)
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id")
    rating: Mapped[int]
    is_counted: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]


class Appointment(Base):
    """A booking in the clinic's calendar."""

    __tablename__ = "clinic_appointments"
    __table_args__ = (
        Index("ix_clinic_appointments_clinic_id_starts_at", "clinic_id", "starts_at"),
        Index("ix_clinic_appointments_staff_id_starts_at", "staff_id", "starts_at"),
    )

    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id", primary_key=True, index=False)
    id = synonym("booking_id")
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id", index=False)
    staff_id: Mapped[UUID | None] = soft_ref("clinic.staff.id", index=False)
    reference_code: Mapped[str] = mapped_column(String(20))
    service_name: Mapped[str | None] = mapped_column(String(255))
    pet_name: Mapped[str | None] = mapped_column(String(100))
    customer_name: Mapped[str | None] = mapped_column(String(255))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20))
    version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]


class UserRef(Base):
    """A user, as auth tells it."""

    __tablename__ = "user_refs"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    full_name: Mapped[str | None] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]
