"""What auth does by itself."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete

from freehold import Tx
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.rules import LOCKED_OUT, SENDS_WITHIN
from systems.petpro.auth.tables import OneTimeCode, Session, Throttle

CODES_KEPT = timedelta(hours=24)


@auth.every(hours=1)
async def purge_tokens(tx: Tx) -> None:
    """Delete codes a day after they expired, expired refresh tokens, and tries that no limit looks at any more."""
    now = tx.now()
    await tx.execute(delete(OneTimeCode).where(OneTimeCode.expires_at < now - CODES_KEPT))
    await tx.execute(delete(Session).where(Session.expires_at <= now))
    await tx.execute(delete(Throttle).where(Throttle.updated_at < now - max(LOCKED_OUT, SENDS_WITHIN)))
