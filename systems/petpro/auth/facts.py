"""What auth tells of a user, made from the rows."""

from __future__ import annotations

from systems.petpro.auth.contract import UserCreated, UserDeactivated, UserRow, UserUpdated
from systems.petpro.auth.tables import Account


def user_created(account: Account) -> UserCreated:
    return UserCreated(
        user_id=account.id,
        email=account.email,
        full_name=account.profile.full_name,
        phone_number=account.profile.phone_number,
        roles=account.roles,
        is_active=account.is_active,
        version=account.version,
        created_at=account.created_at,
    )


def user_updated(account: Account) -> UserUpdated:
    return UserUpdated(
        user_id=account.id,
        email=account.email,
        full_name=account.profile.full_name,
        phone_number=account.profile.phone_number,
        roles=account.roles,
        is_active=account.is_active,
        version=account.version,
        updated_at=account.updated_at,
    )


def user_deactivated(account: Account, reason: str) -> UserDeactivated:
    return UserDeactivated(
        user_id=account.id, reason=reason, version=account.version, deactivated_at=account.updated_at
    )


def user_row(account: Account) -> UserRow:
    return UserRow(
        user_id=account.id,
        email=account.email,
        full_name=account.profile.full_name,
        phone_number=account.profile.phone_number,
        roles=account.roles,
        is_active=account.is_active,
        version=account.version,
        created_at=account.created_at,
        updated_at=account.updated_at,
    )
