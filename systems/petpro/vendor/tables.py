"""What vendor owns: marketplace vendors, their listings, customer orders and vendor payouts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, column, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import ExactDecimal, Money, Percent, Portable, soft_ref, uuid7
from systems.petpro.vendor.contract import (
    ListingRow,
    VendorCreated,
    VendorProductChanged,
    VendorRow,
    VendorStatus,
    VendorStatusChanged,
    VendorUpdated,
)


class Base(Portable, DeclarativeBase):
    """The tables of vendor."""


class Vendor(Base):
    """A shop on the marketplace; each user has one at most."""

    __tablename__ = "vendors"
    __table_args__ = (
        Index("ix_vendors_city_province", "city", "province"),
        CheckConstraint(column("commission_rate", ExactDecimal(5, 2)).between(0, 100), "commission_rate"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = soft_ref("auth.users.id", unique=True, index=False)
    business_name: Mapped[str] = mapped_column(String(255), index=True)
    business_type: Mapped[str] = mapped_column(String(100))
    contact_name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(255), unique=True)
    phone: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(500))
    city: Mapped[str] = mapped_column(String(100))
    province: Mapped[str] = mapped_column(String(100))
    postal_code: Mapped[str] = mapped_column(String(20))
    tax_id: Mapped[str | None] = mapped_column(String(50))
    website: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[VendorStatus] = mapped_column(default="pending", index=True)
    verification_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    commission_rate: Mapped[Percent] = mapped_column(default=Decimal("10.00"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    def touch(self, now: datetime) -> None:
        """It is about to change."""
        self.updated_at, self.version = now, self.version + 1

    def become(self, status: VendorStatus, reason: str | None, now: datetime) -> VendorStatusChanged:
        """Go over to the status; the event that says so."""
        previous, self.status = self.status, status
        self.touch(now)
        return VendorStatusChanged(
            vendor_id=self.id,
            previous_status=previous,
            status=status,
            reason=reason,
            version=self.version,
            changed_at=now,
        )

    def created(self) -> VendorCreated:
        """The event that says so."""
        return VendorCreated.model_validate(self.as_row().model_dump())

    def updated(self) -> VendorUpdated:
        """The event that says so."""
        return VendorUpdated.model_validate(self.as_row().model_dump())

    def as_row(self) -> VendorRow:
        """As siblings keep it."""
        return VendorRow(
            vendor_id=self.id,
            user_id=self.user_id,
            business_name=self.business_name,
            business_type=self.business_type,
            status=self.status,
            commission_rate=self.commission_rate,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class Listing(Base):
    """What a vendor offers of the catalogue, and for how much."""

    __tablename__ = "vendor_products"
    __table_args__ = (
        UniqueConstraint("vendor_id", "product_id"),
        Index(
            "ix_vendor_products_vendor_id_live",
            "vendor_id",
            postgresql_where=text("is_active = true"),
            sqlite_where=text("is_active = true"),
        ),
        CheckConstraint("vendor_price > 0", "vendor_price"),
        CheckConstraint("marketplace_price > 0", "marketplace_price"),
        CheckConstraint("quantity_available >= 0", "quantity_available"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    vendor_id: Mapped[UUID] = mapped_column(ForeignKey("vendors.id", ondelete="CASCADE"))
    product_id: Mapped[UUID] = soft_ref("inventory.products.id")
    vendor_price: Mapped[Money]
    marketplace_price: Mapped[Money]
    quantity_available: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    stock_version: Mapped[int] = mapped_column(default=0)

    def changed(self, change: str, now: datetime) -> VendorProductChanged:
        """The event that says so."""
        self.updated_at = now
        return VendorProductChanged(
            vendor_product_id=self.id,
            vendor_id=self.vendor_id,
            product_id=self.product_id,
            marketplace_price=self.marketplace_price,
            is_active=self.is_active and change != "removed",
            change=change,
            changed_at=now,
        )

    def as_row(self) -> ListingRow:
        """As siblings keep it."""
        return ListingRow(
            vendor_product_id=self.id,
            vendor_id=self.vendor_id,
            product_id=self.product_id,
            marketplace_price=self.marketplace_price,
            is_active=self.is_active,
            updated_at=self.updated_at,
        )


class UserRef(Base):
    """A copy of a user of auth."""

    __tablename__ = "user_refs"

    user_id: Mapped[UUID] = soft_ref("auth.users.id", primary_key=True, index=False)
    email: Mapped[str | None] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]


class ProductRef(Base):
    """A copy of a product of inventory."""

    __tablename__ = "product_refs"

    product_id: Mapped[UUID] = soft_ref("inventory.products.id", primary_key=True, index=False)
    name: Mapped[str | None] = mapped_column(String(255))
    sku: Mapped[str | None] = mapped_column(String(50))
    image_url: Mapped[str | None] = mapped_column(String(500))
    regular_price: Mapped[Money | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)
    synced_at: Mapped[datetime]
