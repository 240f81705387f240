"""Placing an order: what is wished for becomes lines with prices that stay as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from freehold import Problem, Tx, not_found, uuid7
from systems.petpro.inventory.contract import CheckStock, WantedStock
from systems.petpro.vendor.contract import InventoryReserved
from systems.petpro.vendor.copies import products, users
from systems.petpro.vendor.order_bodies import NewOrder, WantedItem
from systems.petpro.vendor.order_tables import Order, OrderCounter, OrderItem
from systems.petpro.vendor.rules import order_number, price
from systems.petpro.vendor.settings import VendorSettings
from systems.petpro.vendor.tables import Listing, Vendor


@dataclass(frozen=True, slots=True)
class Offer:
    """A product of an approved vendor that can be bought."""

    listing: Listing
    vendor: Vendor

    @property
    def cheapness(self) -> tuple[Any, UUID]:
        """The cheapest first; of equal ones the same always."""
        return self.listing.marketplace_price, self.vendor.id


async def place(wish: NewOrder, customer_id: UUID, tx: Tx) -> Order:
    """The new order, and inventory's order to hold its stock.

    Raises Problem 422 where something is not for sale, 409 where there is plainly too little of it.
    """
    chosen = choose(wish.items, await _offers({item.product_id for item in wish.items}, tx))
    await _check_stock(chosen, tx)
    customer = await tx.replica(users, customer_id)
    if customer is None or not customer.is_active:
        raise not_found("The customer", "USER_NOT_FOUND")
    order = Order(
        **wish.model_dump(include={"shipping_address", "payment_method", "notes"}),
        billing_address=wish.billing_address or wish.shipping_address,
        customer_id=customer_id,
        status="pending",
        reservation_state="requested",
        order_date=tx.now(),
        payment_due_at=tx.now() + timedelta(seconds=tx.use(VendorSettings).order_hold_seconds),
        version=1,
        created_at=tx.now(),
        updated_at=tx.now(),
        payment=None,
        id=uuid7(tx.now()),
        items=[await _line(offer, quantity, tx) for offer, quantity in chosen],
    )
    order.total_amount = sum((item.total for item in order.items), Decimal(0))
    order.order_number = await _next_number(tx)
    tx.add(order)
    await tx.flush()
    tx.publish(
        order.created(),
        InventoryReserved(
            order_id=order.id,
            order_number=order.order_number,
            items=[item.as_line() for item in order.items],
            hold_until=order.payment_due_at,
        ),
    )
    return order


async def _offers(product_ids: set[UUID], tx: Tx) -> Mapping[UUID, Sequence[Offer]]:
    found: dict[UUID, list[Offer]] = defaultdict(list)
    live = (
        select(Listing, Vendor)
        .join(Vendor, Vendor.id == Listing.vendor_id)
        .where(Listing.product_id.in_(product_ids), Listing.is_active, Vendor.status == "approved")
    )
    for listing, shop in await tx.execute(live):
        found[listing.product_id].append(Offer(listing, shop))
    return found


def choose(wanted: Sequence[WantedItem], offers: Mapping[UUID, Sequence[Offer]]) -> list[tuple[Offer, int]]:
    """An offer for each wish, the cheapest where no vendor is named; wishes for the same one are merged.

    Raises Problem 422 that names the products which nobody sells.
    """
    chosen: dict[UUID, tuple[Offer, int]] = {}
    missing = []
    for item in wanted:
        fitting = [o for o in offers.get(item.product_id, ()) if item.vendor_id in (None, o.vendor.id)]
        if not fitting:
            missing.append(str(item.product_id))
            continue
        offer = min(fitting, key=lambda o: o.cheapness)
        before = chosen[offer.listing.id][1] if offer.listing.id in chosen else 0
        chosen[offer.listing.id] = offer, before + item.quantity
    if missing:
        raise _not_for_sale(missing)
    return list(chosen.values())


def _not_for_sale(product_ids: list[str]) -> Problem:
    return Problem(422, "NOT_FOR_SALE", "Nobody sells this", details=[{"productId": id} for id in product_ids])


async def _check_stock(chosen: Sequence[tuple[Offer, int]], tx: Tx) -> None:
    """It only spares what is in vain: nothing is held by it."""
    wanted = [WantedStock(product_id=offer.listing.product_id, quantity=quantity) for offer, quantity in chosen]
    answer = await tx.ask(CheckStock(items=wanted))
    if not answer.ok:
        short = [
            {"productId": str(each.product_id), "requested": each.requested, "available": each.available}
            for each in answer.shortages
        ]
        raise Problem(409, "INSUFFICIENT_STOCK", "There are not so many", details=short)


async def _line(offer: Offer, quantity: int, tx: Tx) -> OrderItem:
    product = await tx.replica(products, offer.listing.product_id)
    if product is None or not product.is_active:
        raise _not_for_sale([str(offer.listing.product_id)])
    unit_price, rate = offer.listing.marketplace_price, offer.vendor.commission_rate
    priced = price(unit_price, quantity, tx.use(VendorSettings).tax_rate_percent, rate)
    return OrderItem(
        id=uuid7(tx.now()),
        product_id=product.product_id,
        vendor_id=offer.vendor.id,
        quantity=quantity,
        unit_price=unit_price,
        subtotal=priced.subtotal,
        tax=priced.tax,
        commission_rate=rate,
        commission_amount=priced.commission,
        status="pending",
        product_snapshot={"name": product.name, "sku": product.sku, "imageUrl": product.image_url},
        created_at=tx.now(),
        updated_at=tx.now(),
    )


async def _next_number(tx: Tx) -> str:
    """The year's next running number. Its row is locked to the end, so that no number is left out."""
    year = tx.now().year
    await tx.insert_new(OrderCounter, [{"year": year, "last": 0}], key=["year"])
    counter = await tx.get(OrderCounter, year, lock=True)
    assert counter is not None  # noqa: S101 - it was there, or it is now
    counter.last += 1
    return order_number(year, counter.last)
