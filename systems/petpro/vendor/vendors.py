"""Whose shop is whose, and who sees it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from freehold import Problem, Tx, User, not_found
from systems.petpro.vendor.tables import Vendor


def is_admin(caller: User | None) -> bool:
    """Whether the caller looks after the marketplace."""
    return caller is not None and caller.has_role("admin")


async def vendor_of(id: UUID, tx: Tx, *, lock: bool = False) -> Vendor:
    """The vendor. Raises Problem 404."""
    shop = await tx.get(Vendor, id, lock=lock)
    if shop is None:
        raise unknown_vendor()
    return shop


async def own_vendor(id: UUID, caller: User, tx: Tx, *, admin: bool = False, lock: bool = False) -> Vendor:
    """The caller's vendor; any where administrators may, too, and the caller is one. Raises Problem 403 and 404."""
    shop = await vendor_of(id, tx, lock=lock)
    if shop.user_id != caller.id and not (admin and is_admin(caller)):
        raise Problem(403, "FORBIDDEN", "The vendor is not yours")
    return shop


async def seen_vendor(id: UUID, caller: User | None, tx: Tx) -> Vendor:
    """A vendor that the caller may see: an approved one, their own, or any as administrator. Raises Problem 404."""
    shop = await vendor_of(id, tx)
    if shop.status != "approved" and not sees_all(shop, caller):
        raise unknown_vendor()
    return shop


def sees_all(shop: Vendor, caller: User | None) -> bool:
    """Whether the vendor shows the caller everything."""
    return is_admin(caller) or (caller is not None and caller.id == shop.user_id)


async def vendor_id_of(caller: User, tx: Tx) -> UUID | None:
    """The caller's vendor, if they have one."""
    found: UUID | None = await tx.scalar(select(Vendor.id).where(Vendor.user_id == caller.id))
    return found


def unknown_vendor() -> Problem:
    """404."""
    return not_found("The vendor", "VENDOR_NOT_FOUND")
