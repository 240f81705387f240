"""What auth tells its siblings."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from freehold import Problem, Tx, not_found
from systems.booking_rush.auth import facts
from systems.booking_rush.auth.contract import (
    GetStripeCustomer,
    GetUser,
    SetStripeCustomer,
    SnapshotTenants,
    SnapshotUsers,
    StripeCustomer,
    TenantPage,
    TenantRow,
    UserInfo,
    UserPage,
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
async def snapshot_users(query: SnapshotUsers, tx: Tx) -> UserPage:
    page = select(Account).order_by(Account.id).limit(query.limit)
    if query.cursor is not None:
        page = page.where(Account.id > _after(query.cursor))
    accounts = list(await tx.scalars(page))
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
    return UserPage(data=rows, next_cursor=str(rows[-1].user_id) if len(rows) == query.limit else None)


@auth.answers(SnapshotTenants)
async def snapshot_tenants(query: SnapshotTenants, tx: Tx) -> TenantPage:
    page = select(Tenant).order_by(Tenant.id).limit(query.limit)
    if query.cursor is not None:
        page = page.where(Tenant.id > _after(query.cursor))
    tenants = list(await tx.scalars(page))
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
    return TenantPage(data=rows, next_cursor=str(rows[-1].tenant_id) if len(rows) == query.limit else None)


def _after(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError:
        raise Problem(400, "BAD_REQUEST", "cursor: it is not one that this snapshot gave") from None
