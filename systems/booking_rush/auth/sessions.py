"""Sessions: a login opens a family of refresh tokens, each use replaces one, and a second use of one ends them all."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete

from freehold import Problem, TokenIssuer, Tx, User, new_refresh_token, uuid7
from systems.booking_rush.auth.bodies import Authenticated, Profile
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Account, Session, Tenant


async def require_may_log_in(account: Account, tx: Tx) -> None:
    """403 for a user who is switched off, or whose tenant is."""
    tenant = await tx.get(Tenant, account.tenant_id)
    if not account.is_active or tenant is None or not tenant.is_active:
        raise Problem(403, "USER_INACTIVE", "This account is not active")


def authenticate(
    account: Account, tx: Tx, tokens: TokenIssuer, settings: AuthSettings, family_id: UUID | None = None
) -> Authenticated:
    """A new pair of tokens, its refresh token the newest of the family, or the first of a new one."""
    refresh = new_refresh_token()
    tx.add(
        Session(
            user_id=account.id,
            family_id=family_id or uuid7(),
            refresh_token_hash=refresh.hash,
            user_agent=tx.context.user_agent,
            ip_address=tx.context.ip_address,
            expires_at=tx.now() + settings.session_lifetime,
            created_at=tx.now(),
        )
    )
    return Authenticated(
        access_token=tokens.issue(speaker(account), user_id=str(account.id), role=account.role),
        refresh_token=refresh.token,
        expires_in=tokens.ttl,
        user=Profile.model_validate(account),
    )


def speaker(account: Account) -> User:
    """The user that an access token speaks for."""
    return User(id=account.id, email=account.email, roles=frozenset({account.role}), tenant_id=account.tenant_id)


async def end_family(family_id: UUID, tx: Tx) -> None:
    """End every session that came of one login."""
    await tx.execute(delete(Session).where(Session.family_id == family_id))


async def end_all(user_id: UUID, tx: Tx) -> None:
    """End every session of a user."""
    await tx.execute(delete(Session).where(Session.user_id == user_id))
