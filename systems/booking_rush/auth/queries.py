"""What auth tells its siblings."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from freehold import Page, Tx, not_found, page_of
from systems.booking_rush.auth import facts
from systems.booking_rush.auth.contract import (
    GetStripeCustomer,
    GetUser,
    SetStripeCustomer,
    SnapshotTenants,
    SnapshotUsers,
    StripeCustomer,
    TenantRow,
    UserInfo,
    UserRow,
)
from systems.booking_rush.auth.declaration import auth
from systems.booking_rush.auth.tables import Account, Tenant


@auth.answers(GetUser)
async def get_user(query: GetUser, tx: Tx) -> UserInfo:
    account = await _living(query.user_id, tx)
    return UserInfo(
        user_id=account.id,
        tenant_id=account.tenant_id,
        email=account.email,
        name=account.name or "",
        phone=account.phone,
        role=account.role,
        is_active=account.is_active,
    )


@auth.answers(GetStripeCustomer)
async def get_stripe_customer(query: GetStripeCustomer, tx: Tx) -> StripeCustomer:
    account = await _living(query.id, tx)
    return StripeCustomer(user_id=account.id, stripe_customer_id=account.stripe_customer_id)


@auth.answers(SetStripeCustomer)
async def set_stripe_customer(query: SetStripeCustomer, tx: Tx) -> StripeCustomer:
    account = await _living(query.id, tx)
    if account.stripe_customer_id != query.stripe_customer_id:
        account.stripe_customer_id = query.stripe_customer_id
        account.updated_at = tx.now()
        tx.publish(facts.user_updated(account, ["stripe_customer_id"]))
    return StripeCustomer(user_id=account.id, stripe_customer_id=account.stripe_customer_id)


async def _living(user_id: UUID, tx: Tx) -> Account:
    account = await tx.get(Account, user_id, lock=True)
    if account is None or account.deleted_at is not None:
        raise not_found("The user")
    return account


@auth.answers(SnapshotUsers)
async def snapshot_users(query: SnapshotUsers, tx: Tx) -> Page[UserRow]:
    accounts = await tx.scalars(page_of(select(Account), query, by=Account.id))
    rows = [
        UserRow(
            user_id=account.id,
            tenant_id=account.tenant_id,
            email=account.email,
            name=account.name or "",
            is_active=account.is_active,
            stripe_customer_id=account.stripe_customer_id,
            deleted=account.deleted_at is not None,
            version_at=account.updated_at,
        )
        for account in accounts
    ]
    return Page[UserRow].of(rows, query, "user_id")


@auth.answers(SnapshotTenants)
async def snapshot_tenants(query: SnapshotTenants, tx: Tx) -> Page[TenantRow]:
    tenants = await tx.scalars(page_of(select(Tenant), query, by=Tenant.id))
    rows = [
        TenantRow(
            tenant_id=tenant.id,
            slug=tenant.slug,
            name=tenant.name,
            is_active=tenant.is_active,
            version_at=tenant.updated_at,
        )
        for tenant in tenants
    ]
    return Page[TenantRow].of(rows, query, "tenant_id")
