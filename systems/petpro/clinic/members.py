"""Who may see and change a clinic: its owner, its active staff, and admins."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, select, true

from freehold import Problem, Tx, User, not_found
from systems.petpro.clinic.tables import Clinic, StaffMember


async def existing_clinic(id: UUID, tx: Tx, *, lock: bool = False) -> Clinic:
    """The clinic. Raises 404."""
    clinic = await tx.get(Clinic, id, lock=lock)
    if clinic is None:
        raise not_found("The clinic", "CLINIC_NOT_FOUND")
    return clinic


async def own_clinic(id: UUID, tx: Tx, caller: User, *, lock: bool = False) -> Clinic:
    """The clinic, if the caller may act for it. Raises 404 or 403."""
    clinic = await existing_clinic(id, tx, lock=lock)
    if not await acts_for(clinic, tx, caller):
        raise Problem(403, "FORBIDDEN", "Only the clinic itself and admins may do that")
    return clinic


async def visible_clinic(id: UUID, tx: Tx, caller: User | None) -> Clinic:
    """The clinic, if the caller may see it. Raises 404."""
    clinic = await existing_clinic(id, tx)
    if clinic.status != "approved" and not await acts_for(clinic, tx, caller):
        raise not_found("The clinic", "CLINIC_NOT_FOUND")
    return clinic


def visible_to(caller: User | None) -> ColumnElement[bool]:
    """The clinics that a list shows to the caller: the approved ones, one's own, and to admins all."""
    if caller is not None and caller.has_role("admin"):
        return true()
    approved = Clinic.status == "approved"
    return approved if caller is None else approved | (Clinic.owner_id == caller.id)


def sees_terms(clinic: Clinic, caller: User | None) -> bool:
    """Whether the caller is told the commission that was agreed on."""
    return caller is not None and (clinic.owner_id == caller.id or caller.has_role("admin"))


async def acts_for(clinic: Clinic, tx: Tx, caller: User | None) -> bool:
    """Whether the caller is the clinic's owner, one of its active staff, or an admin."""
    if caller is None:
        return False
    return sees_terms(clinic, caller) or await staff_id_of(caller.id, clinic.id, tx) is not None


async def staff_id_of(user_id: UUID, clinic_id: UUID, tx: Tx) -> UUID | None:
    """As whom the user works at the clinic, if they do."""
    working = select(StaffMember.id).where(
        StaffMember.clinic_id == clinic_id, StaffMember.user_id == user_id, StaffMember.is_active
    )
    found: UUID | None = await tx.scalar(working.order_by(StaffMember.id).limit(1))
    return found
