"""Who may act for a clinic: its owner and its active staff."""

from __future__ import annotations

from uuid import UUID

from freehold import Problem, Tx, User
from systems.petpro.booking.rules import Actor
from systems.petpro.booking.tables import ClinicRef
from systems.petpro.clinic.contract import GetClinicsOf, GetMembership


def forbidden() -> Problem:
    """403."""
    return Problem(403, "FORBIDDEN", "You may not do this")


async def acts_for(clinic_id: UUID, caller: User, tx: Tx) -> bool:
    """Whether the caller owns the clinic or is of its active staff; clinic is asked only about staff."""
    clinic = await tx.get(ClinicRef, clinic_id)
    if clinic is not None and clinic.owner_id == caller.id:
        return True
    try:
        membership = await tx.ask(GetMembership(clinic_id=clinic_id, user_id=caller.id))
    except Problem as problem:
        if problem.status != 404:
            raise
        return False
    return membership.is_owner or membership.staff_id is not None


async def require_clinic(clinic_id: UUID, caller: User, tx: Tx) -> None:
    """Raises Problem 403 unless the caller acts for the clinic, or is an admin."""
    if not (caller.has_role("admin") or await acts_for(clinic_id, caller, tx)):
        raise forbidden()


async def actor(customer_id: UUID, clinic_id: UUID, caller: User, tx: Tx) -> Actor:
    """As whom the caller acts on a customer's booking at a clinic. Raises Problem 403."""
    if caller.has_role("admin"):
        return "admin"
    if caller.id == customer_id:
        return "customer"
    if await acts_for(clinic_id, caller, tx):
        return "clinic"
    raise forbidden()


async def clinics_of(caller: User, tx: Tx) -> list[UUID]:
    """The clinics that the caller may act for; clinic is asked only about those who work for one."""
    if not caller.has_role("vendor", "staff"):
        return []
    return (await tx.ask(GetClinicsOf(user_id=caller.id))).clinic_ids
