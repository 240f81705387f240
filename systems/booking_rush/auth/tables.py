"""What auth owns: tenants, their users, and the sessions that refresh tokens stand for."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Inet, Portable, RefreshState, soft_ref, uuid7
from systems.booking_rush.auth.contract import Role


class Base(Portable, DeclarativeBase):
    """The tables of auth."""


class Tenant(Base):
    __tablename__ = "tenants"
    __table_args__ = (
        Index("ix_tenants_active", "is_active", postgresql_where=text("is_active"), sqlite_where=text("is_active")),
        Index(
            "ix_tenants_living",
            "deleted_at",
            postgresql_where=text("deleted_at IS NULL"),
            sqlite_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    domain: Mapped[str | None] = mapped_column(String(255))
    logo_url: Mapped[str | None] = mapped_column(Text)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Account(Base):
    """A user, as auth keeps one. A deleted one stays, so that what refers to it can still be explained."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_tenant_id_email", "tenant_id", "email", unique=True),
        Index(
            "ix_users_stripe_customer",
            "stripe_customer_id",
            postgresql_where=text("stripe_customer_id IS NOT NULL"),
            sqlite_where=text("stripe_customer_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id", on_missing="report")
    email: Mapped[str] = mapped_column(String(255), index=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(20))
    role: Mapped[Role] = mapped_column(default="customer")
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255))
    email_verified: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Session(Base):
    """One refresh token, as its hash. All that one login led to are a family; a replaced one stays as a trap."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = soft_ref("auth.users.id", on_missing="delete")
    family_id: Mapped[UUID] = mapped_column(index=True)
    refresh_token_hash: Mapped[str] = mapped_column(String(255), unique=True)
    user_agent: Mapped[str | None] = mapped_column(Text)
    ip_address: Mapped[str | None] = mapped_column(Inet())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    replaced_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def state(self) -> RefreshState:
        """What decides about its token."""
        return RefreshState(expires_at=self.expires_at, replaced=self.replaced_at is not None)
