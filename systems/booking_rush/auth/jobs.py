"""What auth does by itself."""

from __future__ import annotations

from sqlalchemy import delete

from freehold import Tx
from systems.booking_rush.auth.declaration import auth
from systems.booking_rush.auth.tables import Session


@auth.every(minutes=10)
async def session_sweeper(tx: Tx) -> None:
    """Delete the sessions that have expired; the replaced ones go with them."""
    await tx.execute(delete(Session).where(Session.expires_at < tx.now()))
