"""What other services may know of auth: who exists, and in which tenant."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import Event, Page, Query, Timestamp

Role = Literal["customer", "organizer", "admin", "super_admin"]


# --- events -----------------------------------------------------------------------------------------------------------


class UserCreated(Event, name="user.created", topic="auth.users", key="user_id"):
    user_id: UUID
    tenant_id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: Timestamp


class UserUpdated(Event, name="user.updated", topic="auth.users", key="user_id"):
    user_id: UUID
    tenant_id: UUID
    email: str
    name: str
    phone: str | None
    role: Role
    is_active: bool
    stripe_customer_id: str | None
    changed: list[str]
    updated_at: Timestamp


class UserDeleted(Event, name="user.deleted", topic="auth.users", key="user_id"):
    user_id: UUID
    tenant_id: UUID
    deleted_at: Timestamp


class TenantCreated(Event, name="tenant.created", topic="auth.tenants", key="tenant_id"):
    tenant_id: UUID
    name: str
    slug: str
    is_active: bool
    settings: dict[str, Any]
    created_at: Timestamp


class TenantUpdated(Event, name="tenant.updated", topic="auth.tenants", key="tenant_id"):
    tenant_id: UUID
    name: str
    slug: str
    is_active: bool
    settings: dict[str, Any]
    deleted_at: Timestamp | None
    updated_at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class UserInfo(BaseModel):
    """A user, as siblings see one."""

    user_id: UUID
    tenant_id: UUID
    email: str
    name: str
    phone: str | None
    role: Role
    is_active: bool


class GetUser(Query[UserInfo], path="/internal/users/{user_id}"):
    """404 `NOT_FOUND` for a user who is unknown or deleted."""

    user_id: UUID


class StripeCustomer(BaseModel):
    user_id: UUID
    stripe_customer_id: str | None


class GetStripeCustomer(Query[StripeCustomer], path="/auth/users/{id}/stripe-customer"):
    """The payment gateway's id of a user. 404 for an unknown user."""

    id: UUID


class SetStripeCustomer(Query[StripeCustomer], path="/auth/users/{id}/stripe-customer", method="PUT"):
    """Keep the payment gateway's id of a user. 404 for an unknown user."""

    id: UUID
    stripe_customer_id: str


# --- snapshots that views are rebuilt from ----------------------------------------------------------------------------


class UserRow(BaseModel):
    """A user as directories keep one; `version_at` is the last change."""

    user_id: UUID
    tenant_id: UUID
    email: str
    name: str
    is_active: bool
    stripe_customer_id: str | None
    deleted: bool
    version_at: Timestamp


class SnapshotUsers(Query[Page[UserRow]], path="/internal/snapshots/users"):
    """Every user, deleted ones too, a page at a time, in the order of their ids."""

    cursor: str | None = None
    limit: int = 500


class TenantRow(BaseModel):
    """A tenant as directories keep one; a deleted one is inactive."""

    tenant_id: UUID
    slug: str
    name: str
    is_active: bool
    version_at: Timestamp


class SnapshotTenants(Query[Page[TenantRow]], path="/internal/snapshots/tenants"):
    """Every tenant, deleted ones too, a page at a time, in the order of their ids."""

    cursor: str | None = None
    limit: int = 500
