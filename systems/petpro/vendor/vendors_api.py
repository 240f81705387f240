"""Shops: registered by their owners, decided on by administrators, seen by everybody once approved."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, select

from freehold import CamelListing, Problem, Tx, User, list_rows, owner, public, role, user
from systems.petpro.vendor.bodies import (
    Decision,
    NewVendor,
    StatusChange,
    VendorChanges,
    VendorDetails,
    VendorList,
    VendorOut,
    VendorSearch,
)
from systems.petpro.vendor.contract import VendorStatus
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.rules import VENDOR_TRANSITIONS, check_transition
from systems.petpro.vendor.settings import VendorSettings
from systems.petpro.vendor.tables import Vendor
from systems.petpro.vendor.vendors import is_admin, own_vendor, seen_vendor, unknown_vendor, vendor_of

admin = role("admin")

# --- looking ----------------------------------------------------------------------------------------------------------


@vendor.get("/vendors", access=public)
@vendor.get("/admin/vendors", access=public)
async def list_vendors(query: Annotated[VendorList, Query()], tx: Tx, caller: User | None) -> CamelListing[VendorOut]:
    """Approved vendors by name; all of them to administrators."""
    return await _page(query, tx, caller)


@vendor.get("/vendors/search", access=public)
async def search_vendors(
    query: Annotated[VendorSearch, Query()], tx: Tx, caller: User | None
) -> CamelListing[VendorOut]:
    """Vendors whose name has these words in it."""
    return await _page(query, tx, caller)


async def _page(query: VendorList, tx: Tx, caller: User | None) -> CamelListing[VendorOut]:
    found: Select[Any] = select(Vendor)
    if not is_admin(caller):
        found = found.where(Vendor.status == "approved")
    if query.city is not None:
        found = found.where(Vendor.city == query.city)
    if query.query is not None:
        found = found.where(Vendor.business_name.icontains(query.query, autoescape=True))
    show = VendorOut.model_validate
    return CamelListing.of(await list_rows(tx, found, query, order_by=Vendor.business_name, show=show))


@vendor.get("/vendors/user/{user_id}", access=owner(param="user_id", roles=("admin",)), errors=[404])
async def get_vendor_of_user(user_id: UUID, tx: Tx) -> VendorDetails:
    """A user's vendor, whatever its status."""
    shop = await tx.find(Vendor, Vendor.user_id == user_id)
    if shop is None:
        raise unknown_vendor()
    return VendorDetails.model_validate(shop)


@vendor.get("/vendors/{id}", access=public, errors=[404])
@vendor.get("/admin/vendors/{id}", access=public, errors=[404])
async def get_vendor(id: UUID, tx: Tx, caller: User | None) -> VendorOut:
    """A vendor."""
    return VendorOut.model_validate(await seen_vendor(id, caller, tx))


# --- the owner --------------------------------------------------------------------------------------------------------


@vendor.post("/vendors", access=role("vendor"), status_code=201, errors=[409])
@vendor.post("/vendors/register", access=role("vendor"), status_code=201, errors=[409])
@vendor.post("/admin/vendors", access=role("vendor"), status_code=201, errors=[409])
async def register(body: NewVendor, tx: Tx, caller: User) -> VendorDetails:
    """Open a shop, which an administrator has to approve."""
    email = body.email.strip().lower()
    if await tx.find(Vendor, Vendor.user_id == caller.id) is not None:
        raise Problem(409, "VENDOR_EXISTS", "You have a vendor already")
    shop = Vendor(
        **body.model_dump(exclude={"email"}),
        email=email,
        user_id=caller.id,
        status="pending",
        commission_rate=tx.use(VendorSettings).commission_rate_percent,
        version=1,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    await tx.insert(shop, taken=_email_taken())
    tx.publish(shop.created())
    return VendorDetails.model_validate(shop)


@vendor.put("/vendors/{id}", access=user, errors=[403, 404, 409])
@vendor.put("/admin/vendors/{id}", access=user, errors=[403, 404, 409])
async def change_vendor(id: UUID, body: VendorChanges, tx: Tx, caller: User) -> VendorDetails:
    """Change what is given. A rejected shop that its owner changes is to be decided on again."""
    shop = await own_vendor(id, caller, tx, admin=True, lock=True)
    changes = body.model_dump(exclude_unset=True)
    if "email" in changes:
        changes["email"] = changes["email"].strip().lower()
        twin = await tx.scalar(select(Vendor.id).where(Vendor.email == changes["email"], Vendor.id != id))
        if twin is not None:
            raise _email_taken()
    for column, value in changes.items():
        setattr(shop, column, value)
    shop.touch(tx.now())
    tx.publish(shop.updated())
    if shop.status == "rejected" and shop.user_id == caller.id:
        tx.publish(shop.become("pending", "resubmitted", tx.now()))
    return VendorDetails.model_validate(shop)


def _email_taken() -> Problem:
    return Problem(409, "EMAIL_ALREADY_REGISTERED", "Another vendor has this address")


# --- administrators ---------------------------------------------------------------------------------------------------


@vendor.put("/vendors/{id}/status", access=admin, errors=[404, 409])
@vendor.put("/admin/vendors/{id}/status", access=admin, errors=[404, 409])
async def change_status(id: UUID, body: StatusChange, tx: Tx) -> VendorDetails:
    """Decide on a vendor."""
    return await _decide(id, body.status, body, tx)


@vendor.put("/admin/vendors/{id}/approve", access=admin, errors=[404, 409])
async def approve(id: UUID, tx: Tx, body: Decision | None = None) -> VendorDetails:
    """Let a vendor sell."""
    return await _decide(id, "approved", body or Decision(), tx)


@vendor.put("/admin/vendors/{id}/reject", access=admin, errors=[404, 409])
async def reject(id: UUID, tx: Tx, body: Decision | None = None) -> VendorDetails:
    """Turn a vendor down."""
    return await _decide(id, "rejected", body or Decision(), tx)


async def _decide(id: UUID, status: VendorStatus, decision: Decision, tx: Tx) -> VendorDetails:
    shop = await vendor_of(id, tx, lock=True)
    if shop.status != status:
        check_transition(shop.status, status, VENDOR_TRANSITIONS)
        tx.publish(shop.become(status, decision.reason or decision.notes, tx.now()))
    rate = decision.commission_rate
    if rate is not None and rate != shop.commission_rate:
        shop.commission_rate = rate
        shop.touch(tx.now())
        tx.publish(shop.updated())
    tx.audit(status, "vendor", id, after=decision.model_dump(mode="json", exclude_none=True))
    return VendorDetails.model_validate(shop)
