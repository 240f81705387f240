"""What vendors offer of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, list_rows, not_found, public, user
from systems.petpro.bodies import PageOf
from systems.petpro.inventory.contract import GetStock
from systems.petpro.vendor.bodies import ListingChanges, ListingOut, NewListing
from systems.petpro.vendor.copies import products
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.tables import Listing, ProductRef
from systems.petpro.vendor.vendors import own_vendor, seen_vendor, sees_all


@vendor.get("/vendors/{id}/products", access=public, errors=[404])
async def list_listings(
    id: UUID, query: Annotated[PageOf, Query()], tx: Tx, caller: User | None
) -> CamelListing[ListingOut]:
    """What an approved vendor sells; all of its listings to its owner and to administrators."""
    shop = await seen_vendor(id, caller, tx)
    all_of_it = sees_all(shop, caller)
    found = select(Listing).where(Listing.vendor_id == id)
    if not all_of_it:
        found = found.where(Listing.is_active)
    rows = await list_rows(tx, found, query, order_by=Listing.created_at, show=lambda listing: listing)
    known = await _known({listing.product_id for listing in rows.data}, tx)
    shown = [_show(listing, known.get(listing.product_id), private=all_of_it) for listing in rows.data]
    return CamelListing.of(rows.model_copy(update={"data": shown}))


async def _known(product_ids: set[UUID], tx: Tx) -> Mapping[UUID, ProductRef]:
    found = await tx.scalars(select(ProductRef).where(ProductRef.product_id.in_(product_ids)))
    return {product.product_id: product for product in found}


def _show(listing: Listing, product: ProductRef | None, *, private: bool) -> ListingOut:
    return ListingOut(
        id=listing.id,
        vendor_id=listing.vendor_id,
        product_id=listing.product_id,
        product_name=product.name if product else None,
        sku=product.sku if product else None,
        image_url=product.image_url if product else None,
        vendor_price=listing.vendor_price if private else None,
        marketplace_price=listing.marketplace_price,
        quantity_available=listing.quantity_available,
        is_active=listing.is_active,
        created_at=listing.created_at,
        updated_at=listing.updated_at,
    )


@vendor.post("/vendors/{id}/products", access=user, status_code=201, errors=[403, 404, 409, 422])
async def offer(id: UUID, body: NewListing, tx: Tx, caller: User) -> ListingOut:
    """Offer a product of the catalogue."""
    shop = await own_vendor(id, caller, tx)
    if shop.status != "approved":
        raise Problem(422, "VENDOR_NOT_APPROVED", f"The vendor is {shop.status}")
    stock = await tx.ask(GetStock(product_id=body.product_id))
    product = await tx.replica(products, body.product_id)
    if product is None or not product.is_active:
        raise not_found("The product", "PRODUCT_NOT_FOUND")
    listing = Listing(
        **body.model_dump(),
        vendor_id=id,
        quantity_available=stock.quantity_available,
        stock_version=stock.version,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    await tx.insert(listing, taken=Problem(409, "LISTING_EXISTS", "The vendor offers this product already"))
    tx.publish(listing.changed("created", tx.now()))
    return _show(listing, product, private=True)


@vendor.put("/vendors/{id}/products/{product_id}", access=user, errors=[403, 404, 409, 422])
async def change_listing(id: UUID, product_id: UUID, body: ListingChanges, tx: Tx, caller: User) -> ListingOut:
    """Change what is given. Orders that were placed keep their prices."""
    listing = await _own_listing(id, product_id, caller, tx)
    changes = body.model_dump(exclude_unset=True)
    product = await tx.replica(products, product_id)
    if changes.get("is_active") and (product is None or not product.is_active):
        raise Problem(409, "PRODUCT_INACTIVE", "The product is not on sale any more")
    for column, value in changes.items():
        setattr(listing, column, value)
    tx.publish(listing.changed("updated", tx.now()))
    return _show(listing, product, private=True)


@vendor.delete("/vendors/{id}/products/{product_id}", access=user, status_code=204, errors=[403, 404])
async def withdraw(id: UUID, product_id: UUID, tx: Tx, caller: User) -> None:
    """Offer the product no more. Open orders are fulfilled."""
    listing = await _own_listing(id, product_id, caller, tx)
    tx.publish(listing.changed("removed", tx.now()))
    await tx.delete(listing)


async def _own_listing(vendor_id: UUID, product_id: UUID, caller: User, tx: Tx) -> Listing:
    await own_vendor(vendor_id, caller, tx)
    listing = await tx.find(Listing, Listing.vendor_id == vendor_id, Listing.product_id == product_id, lock=True)
    if listing is None:
        raise not_found("The listing", "LISTING_NOT_FOUND")
    return listing
