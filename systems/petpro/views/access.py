"""Whose rows somebody may read."""

from __future__ import annotations

from uuid import UUID

from freehold import Problem, Tx, User, not_found
from systems.petpro.clinic.contract import GetMembership
from systems.petpro.vendor.contract import GetVendor
from systems.petpro.views.refs import NOTHING, known
from systems.petpro.views.tables import PerformanceRow


async def check_bookings_of(user_id: UUID | None, clinic_id: UUID | None, tx: Tx, caller: User) -> None:
    """One's own bookings, those of one's clinic, and to admins all. Raises 403."""
    if caller.has_role("admin") or (user_id == caller.id and clinic_id is None):
        return
    if clinic_id is None or not await _acts_for(clinic_id, tx, caller):
        raise Problem(403, "FORBIDDEN", "These bookings are somebody else's")


async def _acts_for(clinic_id: UUID, tx: Tx, caller: User) -> bool:
    """Whether the caller owns the clinic, as is known here, or works for it, which clinic knows."""
    clinic = (await known("clinic", [clinic_id], tx)).get(clinic_id, NOTHING)
    if clinic.data.get("owner_id") == str(caller.id):
        return True
    try:
        membership = await tx.ask(GetMembership(clinic_id=clinic_id, user_id=caller.id))
    except Problem as problem:
        if problem.status == 404:
            return False
        raise
    return membership.is_owner or membership.staff_id is not None


async def own_figures(vendor_id: UUID, tx: Tx, caller: User) -> PerformanceRow:
    """The figures of a vendor. Raises 404, or 403 for another's."""
    row = await tx.get(PerformanceRow, vendor_id)
    if row is None:
        raise not_found("The vendor", "VENDOR_NOT_FOUND")
    if not caller.has_role("admin") and await _owner_of(vendor_id, tx) != caller.id:
        raise Problem(403, "FORBIDDEN", "These figures are another vendor's")
    return row


async def _owner_of(vendor_id: UUID, tx: Tx) -> UUID:
    vendor = (await known("vendor", [vendor_id], tx)).get(vendor_id, NOTHING)
    if (user_id := vendor.data.get("user_id")) is not None:
        return UUID(user_id)
    return (await tx.ask(GetVendor(vendor_id=vendor_id))).user_id
