"""What the wide views are computed from: the facts, each from one owner and with that owner's versions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from freehold import Money, soft_ref
from systems.petpro.views.tables import Base


class BookingFact(Base):
    """A booking, with the names of the day it was made."""

    __tablename__ = "booking_facts"

    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id", primary_key=True, index=False)
    reference_code: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    user_name: Mapped[str | None] = mapped_column(String(255))
    user_email: Mapped[str | None] = mapped_column(String(255))
    pet_id: Mapped[UUID] = soft_ref("pet.pets.id")
    pet_name: Mapped[str | None] = mapped_column(String(100))
    pet_species: Mapped[str | None] = mapped_column(String(50))
    clinic_id: Mapped[UUID] = soft_ref("clinic.clinics.id")
    clinic_name: Mapped[str | None] = mapped_column(String(255))
    service_id: Mapped[UUID] = soft_ref("booking.services.id")
    service_name: Mapped[str | None] = mapped_column(String(255))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Money]
    currency: Mapped[str] = mapped_column(String(3))
    version: Mapped[int]


class PaymentFact(Base):
    """What is paid for a booking, and what of it went back."""

    __tablename__ = "payment_facts"

    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id", primary_key=True, index=False)
    payment_status: Mapped[str] = mapped_column(String(20))
    refunded_amount: Mapped[Money] = mapped_column(default=Decimal(0))
    version: Mapped[int] = mapped_column(BigInteger)


class ReviewFact(Base):
    """A review of a booking."""

    __tablename__ = "review_facts"

    review_id: Mapped[UUID] = soft_ref("booking.reviews.id", primary_key=True, index=False)
    booking_id: Mapped[UUID] = soft_ref("booking.bookings.id")
    rating: Mapped[int]
    is_deleted: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int]


class ProductFact(Base):
    """A product of the catalogue."""

    __tablename__ = "product_facts"

    product_id: Mapped[UUID] = soft_ref("inventory.products.id", primary_key=True, index=False)
    name: Mapped[str] = mapped_column(String(255))
    sku: Mapped[str] = mapped_column(String(50))
    category_id: Mapped[UUID | None] = soft_ref("inventory.product_categories.id")
    category_name: Mapped[str | None] = mapped_column(String(100))
    regular_price: Mapped[Money]
    sale_price: Mapped[Money | None]
    on_sale: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int]


class StockFact(Base):
    """How much there is of a product."""

    __tablename__ = "stock_facts"

    product_id: Mapped[UUID] = soft_ref("inventory.products.id", primary_key=True, index=False)
    quantity_available: Mapped[int]
    quantity_reserved: Mapped[int]
    reorder_threshold: Mapped[int]
    version: Mapped[int]


class ListingFact(Base):
    """What a vendor asks for a product."""

    __tablename__ = "listing_facts"

    vendor_product_id: Mapped[UUID] = soft_ref("vendor.vendor_products.id", primary_key=True, index=False)
    vendor_id: Mapped[UUID] = soft_ref("vendor.vendors.id")
    product_id: Mapped[UUID] = soft_ref("inventory.products.id")
    marketplace_price: Mapped[Money]
    is_active: Mapped[bool]
    changed_at: Mapped[datetime]


class PayoutFact(Base):
    """What a vendor is owed for its items, or was paid."""

    __tablename__ = "payout_facts"

    payout_id: Mapped[UUID] = soft_ref("vendor.vendor_payouts.id", primary_key=True, index=False)
    vendor_id: Mapped[UUID] = soft_ref("vendor.vendors.id")
    amount: Mapped[Money]
    is_completed: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int]
