"""`product_availability_view`: every product with its stock, and the offers of approved vendors by price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select

from freehold import Change, Derived, Tx, View
from systems.petpro.inventory.contract import (
    InventoryChanged,
    ProductCreated,
    ProductDeactivated,
    ProductUpdated,
    SnapshotProducts,
    SnapshotStock,
)
from systems.petpro.vendor.contract import ListingRow, SnapshotListings, VendorProductChanged
from systems.petpro.views.declaration import views
from systems.petpro.views.facts_tables import ListingFact, ProductFact, StockFact
from systems.petpro.views.refs import NOTHING, ids_of, known, refs
from systems.petpro.views.rules import availability, effective_price
from systems.petpro.views.states import note_event
from systems.petpro.views.tables import AvailabilityRow

NAME = "product_availability_view"

# --- products, stock and listings -------------------------------------------------------------------------------------

products = views.view(
    View("product_facts", table=ProductFact, key="product_id", version="version", rebuild=SnapshotProducts)
)
stock = views.view(View("stock_facts", table=StockFact, key="product_id", version="version", rebuild=SnapshotStock))
listings = views.view(View("listing_facts", table=ListingFact, key="vendor_product_id", version="changed_at"))
_PRODUCT = set(ProductFact.__table__.columns.keys()) - {"version"}
_STOCK = set(StockFact.__table__.columns.keys()) - {"version"}
_LISTING = ("vendor_product_id", "vendor_id", "product_id", "marketplace_price", "is_active")


@products.on(ProductCreated, ProductUpdated)
def product_told(event: ProductCreated | ProductUpdated) -> Change:
    return Change(event.model_dump(include=_PRODUCT), version=event.version)


@products.on(ProductDeactivated)
def product_deactivated(event: ProductDeactivated) -> Change:
    return Change({"product_id": event.product_id, "is_active": False}, version=event.version)


@stock.on(InventoryChanged)
def stock_changed(event: InventoryChanged) -> Change:
    return Change(event.model_dump(include=_STOCK), version=event.version)


@listings.on(VendorProductChanged)
def listing_changed(event: VendorProductChanged) -> Change:
    return Change({name: getattr(event, name) for name in _LISTING}, version=event.changed_at)


@listings.snapshot(SnapshotListings)
def listing_of(row: ListingRow) -> Change:
    return Change({name: getattr(row, name) for name in _LISTING}, version=row.updated_at)


# --- the view ---------------------------------------------------------------------------------------------------------

product_availability = views.view(Derived(NAME, table=AvailabilityRow, key="product_id", updated="updated_at"))


@product_availability.follows(products)
@product_availability.follows(stock)
async def themselves(product_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    return product_ids


@product_availability.follows(listings)
async def listed(listing_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    return await tx.scalars(select(ListingFact.product_id).where(ListingFact.vendor_product_id.in_(listing_ids)))


@product_availability.follows(refs)
async def sold(keys: Sequence[tuple[str, UUID]], tx: Tx) -> Iterable[UUID]:
    vendors = ids_of("vendor", keys)
    return await tx.scalars(select(ListingFact.product_id).where(ListingFact.vendor_id.in_(vendors)).distinct())


@product_availability.computes
async def availability_rows(product_ids: Sequence[UUID], tx: Tx) -> list[dict[str, Any]]:
    await note_event(NAME, tx)
    found = await tx.execute(select(ProductFact.__table__).where(ProductFact.product_id.in_(product_ids)))
    there = await tx.execute(select(StockFact.__table__).where(StockFact.product_id.in_(product_ids)))
    stocked = {row["product_id"]: row for row in there.mappings()}
    offers = await _offers_of(product_ids, tx)
    return [
        _row(product, stocked.get(product["product_id"]), offers[product["product_id"]]) for product in found.mappings()
    ]


def _row(product: RowMapping, there: RowMapping | None, offers: list[dict[str, Any]]) -> dict[str, Any]:
    available, reserved, threshold, version = (
        (0, 0, 0, 0)
        if there is None
        else (there["quantity_available"], there["quantity_reserved"], there["reorder_threshold"], there["version"])
    )
    return {
        **{name: product[name] for name in ("product_id", "name", "sku", "category_id", "category_name")},
        "regular_price": product["regular_price"],
        "effective_price": effective_price(product["regular_price"], product["sale_price"], product["on_sale"]),
        "quantity_available": available,
        "quantity_reserved": reserved,
        "reorder_threshold": threshold,
        "availability": availability(product["is_active"], available, threshold),
        "offers": offers,
        "offer_count": len(offers),
        "lowest_price": Decimal(offers[0]["price"]) if offers else None,
        "is_active": product["is_active"],
        "source_version": product["version"],
        "stock_version": version,
    }


async def _offers_of(product_ids: Sequence[UUID], tx: Tx) -> dict[UUID, list[dict[str, Any]]]:
    """The active listings of approved vendors, the cheapest first."""
    columns = ListingFact.product_id, ListingFact.vendor_id, ListingFact.marketplace_price
    active = select(*columns).where(ListingFact.product_id.in_(product_ids), ListingFact.is_active)
    found = (await tx.execute(active)).all()
    vendors = await known("vendor", (row.vendor_id for row in found), tx)
    offers: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(found, key=lambda each: (each.marketplace_price, str(each.vendor_id))):
        vendor = vendors.get(row.vendor_id, NOTHING)
        if vendor.status == "approved":
            offers[row.product_id].append(
                {
                    "vendor_id": str(row.vendor_id),
                    "business_name": vendor.data.get("business_name"),
                    "price": str(row.marketplace_price),
                }
            )
    return offers
