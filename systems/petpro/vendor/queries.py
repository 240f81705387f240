"""What vendor tells its siblings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, page_of
from systems.petpro.vendor.contract import (
    GetVendor,
    ListingRow,
    OrderItemRow,
    PayoutRow,
    SnapshotListings,
    SnapshotOrderItems,
    SnapshotPayouts,
    SnapshotVendors,
    VendorRow,
)
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.order_tables import Order, OrderItem, Payout
from systems.petpro.vendor.tables import Listing, Vendor
from systems.petpro.vendor.vendors import vendor_of


@vendor.answers(GetVendor)
async def get_vendor(query: GetVendor, tx: Tx) -> VendorRow:
    return (await vendor_of(query.vendor_id, tx)).as_row()


@vendor.answers(SnapshotVendors)
async def snapshot_vendors(query: SnapshotVendors, tx: Tx) -> Page[VendorRow]:
    shops = await tx.scalars(page_of(select(Vendor), query, by=Vendor.id))
    return Page[VendorRow].of([shop.as_row() for shop in shops], query, "vendor_id")


@vendor.answers(SnapshotListings)
async def snapshot_listings(query: SnapshotListings, tx: Tx) -> Page[ListingRow]:
    listings = await tx.scalars(page_of(select(Listing), query, by=Listing.id))
    return Page[ListingRow].of([listing.as_row() for listing in listings], query, "vendor_product_id")


@vendor.answers(SnapshotOrderItems)
async def snapshot_order_items(query: SnapshotOrderItems, tx: Tx) -> Page[OrderItemRow]:
    lines = select(OrderItem, Order.order_date, Order.version).join(Order, Order.id == OrderItem.order_id)
    rows = [
        OrderItemRow(
            order_item_id=item.id,
            order_id=item.order_id,
            vendor_id=item.vendor_id,
            product_id=item.product_id,
            quantity=item.quantity,
            subtotal=item.subtotal,
            commission_amount=item.commission_amount,
            status=item.status,
            ordered_at=ordered_at,
            delivered_at=item.delivered_at,
            version=version,
            updated_at=item.updated_at,
        )
        for item, ordered_at, version in await tx.execute(page_of(lines, query, by=OrderItem.id))
    ]
    return Page[OrderItemRow].of(rows, query, "order_item_id")


@vendor.answers(SnapshotPayouts)
async def snapshot_payouts(query: SnapshotPayouts, tx: Tx) -> Page[PayoutRow]:
    payouts = await tx.scalars(page_of(select(Payout), query, by=Payout.id))
    return Page[PayoutRow].of([payout.as_row() for payout in payouts], query, "payout_id")
