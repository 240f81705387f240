"""The events that auth publishes, made from its rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from systems.booking_rush.auth.contract import TenantCreated, TenantUpdated, UserCreated, UserDeleted, UserUpdated
from systems.booking_rush.auth.tables import Account, Tenant


def user_created(account: Account) -> UserCreated:
    return UserCreated(
        user_id=account.id,
        tenant_id=account.tenant_id,
        email=account.email,
        name=account.name or "",
        role=account.role,
        is_active=account.is_active,
        created_at=account.created_at,
    )


def user_updated(account: Account, changed: Iterable[str]) -> UserUpdated:
    return UserUpdated(
        user_id=account.id,
        tenant_id=account.tenant_id,
        email=account.email,
        name=account.name or "",
        phone=account.phone,
        role=account.role,
        is_active=account.is_active,
        stripe_customer_id=account.stripe_customer_id,
        changed=sorted(changed),
        updated_at=account.updated_at,
    )


def user_deleted(account: Account, at: datetime) -> UserDeleted:
    return UserDeleted(user_id=account.id, tenant_id=account.tenant_id, deleted_at=at)


def tenant_created(tenant: Tenant) -> TenantCreated:
    return TenantCreated(
        tenant_id=tenant.id,
        name=tenant.name,
        slug=tenant.slug,
        is_active=tenant.is_active,
        settings=tenant.settings,
        created_at=tenant.created_at,
    )


def tenant_updated(tenant: Tenant) -> TenantUpdated:
    return TenantUpdated(
        tenant_id=tenant.id,
        name=tenant.name,
        slug=tenant.slug,
        is_active=tenant.is_active,
        settings=tenant.settings,
        deleted_at=tenant.deleted_at,
        updated_at=tenant.updated_at,
    )
