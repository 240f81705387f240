"""Sessions: a login opens a family of refresh tokens, each use replaces one, and a second use of one ends them all."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete

from freehold import TokenIssuer, Tx, User, new_refresh_token, uuid7
from systems.petpro.auth.bodies import Authenticated, SignedIn
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.auth.tables import Account, Session


def authenticate(
    account: Account, tx: Tx, tokens: TokenIssuer, settings: AuthSettings, family_id: UUID | None = None
) -> Authenticated:
    """A new pair of tokens, its refresh token the newest of the family, or the first of a new one."""
    refresh = new_refresh_token()
    tx.add(
        Session(
            user_id=account.id,
            family_id=family_id or uuid7(),
            token_hash=refresh.hash,
            device_info=(tx.context.user_agent or "")[:255] or None,
            expires_at=tx.now() + settings.session_lifetime,
            created_at=tx.now(),
        )
    )
    speaker = User(account.id, account.email, frozenset(account.roles), frozenset(account.permissions))
    return Authenticated(
        access_token=tokens.issue(speaker, role=account.role),
        refresh_token=refresh.token,
        expires_in=tokens.ttl,
        user=SignedIn.of(account),
    )


async def end_family(family_id: UUID, tx: Tx) -> None:
    """End every session that came of one login."""
    await tx.execute(delete(Session).where(Session.family_id == family_id))


async def end_all(user_id: UUID, tx: Tx) -> None:
    """End every session of a user."""
    await tx.execute(delete(Session).where(Session.user_id == user_id))
