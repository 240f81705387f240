"""Whose products are whose: vendors look after their own, which only the vendor service can tell."""

from __future__ import annotations

from uuid import UUID

from freehold import Problem, Tx, User
from systems.petpro.inventory.tables import Product
from systems.petpro.vendor.contract import GetVendor, VendorRow


async def check_assignable(vendor_id: UUID | None, caller: User, tx: Tx) -> None:
    """Raises Problem unless the caller may give a product to this vendor, who has to be approved."""
    if vendor_id is None:
        if not caller.has_role("admin"):
            raise Problem(400, "VALIDATION_ERROR", "vendorId: a vendor's product names its vendor")
        return
    vendor = await _vendor(vendor_id, tx)
    _check_own(vendor, caller)
    if vendor.status != "approved":
        raise Problem(422, "VENDOR_NOT_APPROVED", f"The vendor is {vendor.status}")


async def check_own(product: Product, caller: User, tx: Tx, *, roles: tuple[str, ...] = ("admin",)) -> None:
    """Raises Problem 403 unless the caller has one of the roles, or the product is their own."""
    if caller.has_role(*roles):
        return
    if product.vendor_id is None:
        raise Problem(403, "FORBIDDEN", "The product is not yours")
    _check_own(await _vendor(product.vendor_id, tx), caller)


def _check_own(vendor: VendorRow, caller: User) -> None:
    if vendor.user_id != caller.id and not caller.has_role("admin"):
        raise Problem(403, "FORBIDDEN", "The vendor is not yours")


async def _vendor(vendor_id: UUID, tx: Tx) -> VendorRow:
    try:
        return await tx.ask(GetVendor(vendor_id=vendor_id))
    except Problem as problem:
        if problem.status == 404:
            raise Problem(422, "VENDOR_NOT_FOUND", "vendorId: there is no such vendor") from None
        raise
