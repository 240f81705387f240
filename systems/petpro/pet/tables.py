"""What pet owns: pets, medical records, vaccinations, species and breed catalogue."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Portable, soft_ref, uuid7
from systems.petpro.pet.rules import full_years


class Base(Portable, DeclarativeBase):
    """The tables of pet."""


class Pet(Base):
    """An animal and what its owner tells of it. A deleted one stays, for whatever refers to it."""

    __tablename__ = "pets"
    __table_args__ = (
        Index(
            "uq_pets_microchip_id",
            "microchip_id",
            unique=True,
            postgresql_where=text("microchip_id IS NOT NULL AND deleted_at IS NULL"),
            sqlite_where=text("microchip_id IS NOT NULL AND deleted_at IS NULL"),
        ),
        CheckConstraint("gender IN ('male','female','unknown')", "gender"),
        CheckConstraint("weight IS NULL OR (weight >= 0.1 AND weight <= 500)", "weight"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    name: Mapped[str] = mapped_column(String(100))
    species: Mapped[str] = mapped_column(String(50), index=True)
    breed: Mapped[str | None] = mapped_column(String(100), index=True)
    birthdate: Mapped[date | None]
    weight: Mapped[float | None]
    gender: Mapped[str] = mapped_column(String(10), default="unknown")
    medical_history: Mapped[dict[str, Any]] = mapped_column(default=dict)
    photo_url: Mapped[str | None] = mapped_column(String(500))
    microchip_id: Mapped[str | None] = mapped_column(String(50))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    species_id: Mapped[UUID | None] = mapped_column(ForeignKey("species.id", ondelete="RESTRICT"), index=True)
    breed_id: Mapped[UUID | None] = mapped_column(ForeignKey("breeds.id", ondelete="RESTRICT"), index=True)
    breed_is_mixed: Mapped[bool | None]
    """With the two before it the form that is to replace `species` and `breed`; see species_refs."""

    def age(self, today: date) -> int | None:
        """In whole years."""
        return None if self.birthdate is None else full_years(self.birthdate, today)

    def touch(self, now: datetime) -> None:
        """Something changed that others keep a copy of."""
        self.version += 1
        self.updated_at = now

    def delete(self, now: datetime) -> None:
        """Be gone. The microchip may be registered again: not every database can keep a unique key of the living."""
        if self.microchip_id is not None:
            self.medical_history = self.medical_history | {"microchip_id": self.microchip_id}
        self.microchip_id = None
        self.deleted_at = now
        self.touch(now)


class MedicalRecord(Base):
    """What was done for a pet, and by whose side it was written."""

    __tablename__ = "pet_medical_records"
    __table_args__ = (
        Index("ix_pet_medical_records_pet_id_record_date", "pet_id", "record_date"),
        CheckConstraint(
            "record_type IN ('checkup','vaccination','surgery','emergency','lab','grooming','other')", "record_type"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    pet_id: Mapped[UUID] = mapped_column(ForeignKey("pets.id", ondelete="CASCADE"))
    record_date: Mapped[date]
    diagnosis: Mapped[str | None] = mapped_column(Text)
    treatment: Mapped[str | None] = mapped_column(Text)
    veterinarian_id: Mapped[UUID | None] = soft_ref("clinic.staff.id")
    clinic_id: Mapped[UUID | None] = soft_ref("clinic.clinics.id")
    """The clinic that wrote it; NULL: the owner, or an admin."""
    record_type: Mapped[str] = mapped_column(String(50))
    attachments: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Species(Base):
    """A kind of animal that the platform knows."""

    __tablename__ = "species"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    description: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Breed(Base):
    """A breed of a species."""

    __tablename__ = "breeds"
    __table_args__ = (UniqueConstraint("species_id", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    species_id: Mapped[UUID] = mapped_column(ForeignKey("species.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(String(500))
    characteristics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Vaccination(Base):
    """A vaccination of a pet, and how long it protects."""

    __tablename__ = "vaccinations"
    __table_args__ = (
        UniqueConstraint("pet_id", "vaccine_name", "administered_date"),
        CheckConstraint("expiry_date IS NULL OR expiry_date > administered_date", "expiry_date"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    pet_id: Mapped[UUID] = mapped_column(ForeignKey("pets.id", ondelete="CASCADE"))
    vaccine_name: Mapped[str] = mapped_column(String(100))
    administered_date: Mapped[date]
    expiry_date: Mapped[date | None] = mapped_column(index=True)
    administered_by: Mapped[UUID | None] = soft_ref("clinic.staff.id")
    clinic_id: Mapped[UUID | None] = soft_ref("clinic.clinics.id")
    """The clinic that wrote it; NULL: the owner, or an admin."""
    certificate_info: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class UserRef(Base):
    """A user, as auth last told."""

    __tablename__ = "user_refs"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    full_name: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]
