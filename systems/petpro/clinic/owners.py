"""What becomes of clinics when their owner goes."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Tx
from systems.petpro.auth.contract import UserDeactivated
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.lifecycle import change_status
from systems.petpro.clinic.tables import Clinic, UserRef


@clinic.on(UserDeactivated)
async def suspend_clinics(event: UserDeactivated, tx: Tx) -> None:
    """The approved clinics of a deactivated owner are suspended, unless the owner is known to be back already."""
    owner = await tx.get(UserRef, event.user_id)
    if owner is not None and owner.is_active and owner.version > event.version:
        return
    approved = select(Clinic).where(Clinic.owner_id == event.user_id, Clinic.status == "approved").order_by(Clinic.id)
    for suspended in (await tx.scalars(approved.with_for_update())).all():
        await change_status(suspended, "suspended", f"its owner was deactivated: {event.reason}", tx)
