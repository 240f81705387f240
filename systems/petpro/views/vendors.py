"""`vendor_performance_view`: every vendor with its figures, computed from the items and payouts, never counted up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from freehold import Change, Derived, Tx, View
from systems.petpro.vendor.contract import (
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderStatusChanged,
    PayoutCompleted,
    PayoutCreated,
    PayoutRow,
    SnapshotOrderItems,
    SnapshotPayouts,
)
from systems.petpro.views.declaration import views
from systems.petpro.views.facts_tables import ListingFact, PayoutFact
from systems.petpro.views.products import listings
from systems.petpro.views.refs import ids_of, known, refs
from systems.petpro.views.rules import Figures, Item
from systems.petpro.views.states import note_event
from systems.petpro.views.tables import ItemFact, PerformanceRow

NAME = "vendor_performance_view"

# --- items, by the version of their order -----------------------------------------------------------------------------

items = views.view(
    View("order_item_facts", table=ItemFact, key="order_item_id", version="version", rebuild=SnapshotOrderItems)
)
_ORDERED = {"order_item_id", "vendor_id", "product_id", "quantity", "subtotal", "commission_amount"}


@items.on(OrderCreated)
def ordered(event: OrderCreated) -> list[Change]:
    order = {"order_id": event.order_id, "status": event.status, "ordered_at": event.created_at}
    return [Change({**item.model_dump(include=_ORDERED), **order}, version=event.version) for item in event.items]


@items.on(OrderPaid)
def paid(event: OrderPaid) -> list[Change]:
    return [_stands(item.order_item_id, event.version, status="processing") for item in event.items]


@items.on(OrderStatusChanged)
def moved(event: OrderStatusChanged) -> list[Change]:
    return [
        _stands(item.order_item_id, event.version, status=item.status, delivered_at=item.delivered_at)
        for item in event.items
    ]


@items.on(OrderCancelled)
def cancelled(event: OrderCancelled) -> list[Change]:
    return [_stands(item.order_item_id, event.version, status="cancelled") for item in event.items]


def _stands(item_id: UUID, version: int, **columns: Any) -> Change:
    return Change({"order_item_id": item_id, **columns}, version=version)


# --- payouts: created, then completed ---------------------------------------------------------------------------------

payouts = views.view(View("payout_facts", table=PayoutFact, key="payout_id", version="version"))


@payouts.on(PayoutCreated)
def payout_created(event: PayoutCreated) -> Change:
    return _payout(event, is_completed=False)


@payouts.on(PayoutCompleted)
def payout_completed(event: PayoutCompleted) -> Change:
    return _payout(event, is_completed=True)


@payouts.snapshot(SnapshotPayouts)
def payout_of(row: PayoutRow) -> Change:
    return _payout(row, is_completed=row.status == "completed")


def _payout(told: Any, *, is_completed: bool) -> Change:
    """It is completed once and for all, so that is its newest version."""
    names = {name: getattr(told, name) for name in ("payout_id", "vendor_id", "amount")}
    return Change({**names, "is_completed": is_completed}, version=int(is_completed))


# --- the view ---------------------------------------------------------------------------------------------------------

vendor_performance = views.view(Derived(NAME, table=PerformanceRow, key="vendor_id", updated="updated_at"))


@vendor_performance.follows(items)
async def selling(item_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    return await tx.scalars(select(ItemFact.vendor_id).where(ItemFact.order_item_id.in_(item_ids)).distinct())


@vendor_performance.follows(payouts)
async def owed(payout_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    return await tx.scalars(select(PayoutFact.vendor_id).where(PayoutFact.payout_id.in_(payout_ids)).distinct())


@vendor_performance.follows(listings)
async def listing(listing_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    found = select(ListingFact.vendor_id).where(ListingFact.vendor_product_id.in_(listing_ids))
    return await tx.scalars(found.distinct())


@vendor_performance.follows(refs)
async def themselves(keys: Sequence[tuple[str, UUID]], tx: Tx) -> Iterable[UUID]:
    return ids_of("vendor", keys)


@vendor_performance.computes
async def performance_rows(vendor_ids: Sequence[UUID], tx: Tx) -> list[dict[str, Any]]:
    await note_event(NAME, tx)
    vendors = await known("vendor", vendor_ids, tx)
    sold, active, due = await _items_of(vendor_ids, tx), await _active_of(vendor_ids, tx), await _due_of(vendor_ids, tx)
    return [
        {
            "vendor_id": id,
            "business_name": vendor.data["business_name"],
            "status": vendor.status or "pending",
            "active_listings": active.get(id, 0),
            **asdict(Figures.of(sold[id])),
            "payouts_completed": due[id][True],
            "payouts_outstanding": due[id][False],
        }
        for id, vendor in vendors.items()
        if "business_name" in vendor.data
    ]


async def _items_of(vendor_ids: Sequence[UUID], tx: Tx) -> dict[UUID, list[Item]]:
    columns = (
        ItemFact.vendor_id, ItemFact.order_id, ItemFact.quantity, ItemFact.subtotal, ItemFact.commission_amount,
        ItemFact.status, ItemFact.ordered_at, ItemFact.delivered_at,
    )  # fmt: skip
    found: dict[UUID, list[Item]] = defaultdict(list)
    for vendor_id, *item in await tx.execute(select(*columns).where(ItemFact.vendor_id.in_(vendor_ids))):
        found[vendor_id].append(Item(*item))
    return found


async def _active_of(vendor_ids: Sequence[UUID], tx: Tx) -> dict[UUID, int]:
    active = select(ListingFact.vendor_id, func.count()).where(
        ListingFact.vendor_id.in_(vendor_ids), ListingFact.is_active
    )
    return dict((await tx.execute(active.group_by(ListingFact.vendor_id))).all())


async def _due_of(vendor_ids: Sequence[UUID], tx: Tx) -> dict[UUID, dict[bool, Decimal]]:
    """What was paid out, and what is still to be."""
    columns = PayoutFact.vendor_id, PayoutFact.is_completed, func.sum(PayoutFact.amount)
    sums = select(*columns).where(PayoutFact.vendor_id.in_(vendor_ids))
    found: dict[UUID, dict[bool, Decimal]] = defaultdict(lambda: {True: Decimal(0), False: Decimal(0)})
    for vendor_id, is_completed, amount in await tx.execute(sums.group_by(*columns[:2])):
        found[vendor_id][is_completed] = amount
    return found
