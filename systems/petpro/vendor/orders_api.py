"""Orders as customers place them, vendors fulfil them, and both call them off."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, exists, select

from freehold import CamelListing, Problem, Tx, User, list_rows, role, user
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.order_bodies import (
    Cancellation,
    ItemOut,
    NewOrder,
    OrderList,
    OrderOut,
    OrderPaymentOut,
    Progress,
)
from systems.petpro.vendor.order_tables import Order, OrderItem, OrderPayment
from systems.petpro.vendor.orders import cancel_unpaid, hold_order, order_of
from systems.petpro.vendor.placing import place
from systems.petpro.vendor.refunds import cancel_paid, refund_delivered
from systems.petpro.vendor.rules import ADVANCE
from systems.petpro.vendor.sagas import Placing, place_order
from systems.petpro.vendor.vendors import is_admin, own_vendor, vendor_id_of

# --- placing and looking ----------------------------------------------------------------------------------------------


@vendor.post("/orders", access=role("customer"), status_code=202, errors=[404, 409, 422])
async def create_order(body: NewOrder, tx: Tx, caller: User) -> OrderOut:
    """Place an order. Its stock is held after the answer; then it waits ten minutes for its payment."""
    order = await place(body, caller.id, tx)
    await tx.start(place_order, Placing(order_id=order.id))
    return _whole(order)


@vendor.get("/orders", access=user)
async def list_orders(query: Annotated[OrderList, Query()], tx: Tx, caller: User) -> CamelListing[OrderOut]:
    """The caller's orders, and those with items of the caller's vendor; all to administrators. Newest first."""
    vendor_id = await vendor_id_of(caller, tx)
    found: Select[Any] = select(Order)
    if not is_admin(caller):
        has_mine = exists().where(OrderItem.order_id == Order.id, OrderItem.vendor_id == vendor_id)
        found = found.where((Order.customer_id == caller.id) | has_mine)
    if query.status is not None:
        found = found.where(Order.status == query.status)
    rows = await list_rows(
        tx,
        found,
        query,
        order_by=Order.order_date,
        descending=True,
        show=lambda order: _show(order, caller, vendor_id),
    )
    return CamelListing.of(rows)


@vendor.get("/orders/{id}", access=user, errors=[403, 404])
async def get_order(id: UUID, tx: Tx, caller: User) -> OrderOut:
    """An order; to a vendor, only its own items of it."""
    order, vendor_id = await order_of(id, tx), await vendor_id_of(caller, tx)
    if not is_admin(caller) and order.customer_id != caller.id and not order.items_of(vendor_id):
        raise _forbidden()
    return _show(order, caller, vendor_id)


def _show(order: Order, caller: User, vendor_id: UUID | None) -> OrderOut:
    if is_admin(caller) or order.customer_id == caller.id:
        return _whole(order)
    return _part(order, order.items_of(vendor_id))


def _whole(order: Order) -> OrderOut:
    return _shown(order, order.items, order.total_amount, order.payment)


def _part(order: Order, items: Sequence[OrderItem]) -> OrderOut:
    """What a vendor sees: its items, and what they cost."""
    return _shown(order, items, sum((item.total for item in items), Decimal(0)), None)


def _shown(order: Order, items: Sequence[OrderItem], total: Decimal, payment: OrderPayment | None) -> OrderOut:
    columns = OrderOut.model_fields.keys() - {"items", "payment", "total_amount"}
    return OrderOut(
        **{name: getattr(order, name) for name in columns},
        total_amount=total,
        items=[ItemOut.model_validate(item) for item in items],
        payment=None if payment is None else OrderPaymentOut.model_validate(payment),
    )


def _forbidden() -> Problem:
    return Problem(403, "FORBIDDEN", "The order is not yours")


# --- calling off ------------------------------------------------------------------------------------------------------


@vendor.put("/orders/{id}/cancel", access=user, idempotency="optional", errors=[403, 404, 409])
async def cancel(id: UUID, body: Cancellation, tx: Tx, caller: User) -> OrderOut:
    """Cancel an order of which nothing is under way; what was paid goes back."""
    order = await hold_order(id, tx)
    if order.customer_id != caller.id and not is_admin(caller):
        raise _forbidden()
    await _cancel(order, order.items, body.reason, tx)
    return _whole(order)


@vendor.post("/vendors/{vendor_id}/orders/{order_id}/cancel", access=role("vendor"), errors=[403, 404, 409])
async def cancel_items(vendor_id: UUID, order_id: UUID, body: Cancellation, tx: Tx, caller: User) -> OrderOut:
    """Cancel the vendor's own items; the rest of the order goes on."""
    await own_vendor(vendor_id, caller, tx)
    order = await hold_order(order_id, tx)
    items = _own(order, vendor_id)
    await _cancel(order, items, body.reason, tx)
    return _part(order, items)


async def _cancel(order: Order, items: Sequence[OrderItem], reason: str, tx: Tx) -> None:
    living = [item for item in items if item.status in ADVANCE]
    if not living:
        return
    if order.status == "pending" and len(living) == len(order.items):
        cancel_unpaid(order, reason, tx)
    elif all(item.status == "processing" for item in living):
        await cancel_paid(order, living, reason, tx)
    else:
        raise Problem(409, "ORDER_NOT_CANCELLABLE", "A part of it is not paid yet, or is under way already")


# --- fulfilling -------------------------------------------------------------------------------------------------------


@vendor.put("/orders/{id}/status", access=role("vendor", "admin"), errors=[403, 404, 409])
async def change_status(id: UUID, body: Progress, tx: Tx, caller: User) -> OrderOut:
    """Ship or deliver items: the caller's own, or any as administrator, who may also refund them."""
    vendor_id = await vendor_id_of(caller, tx)
    order = await hold_order(id, tx)
    items = order.items if is_admin(caller) else _own(order, vendor_id)
    await _progress(order, items, body, caller, tx)
    return _whole(order) if is_admin(caller) else _part(order, items)


@vendor.patch("/vendors/{vendor_id}/orders/{order_id}/status", access=role("vendor", "admin"), errors=[403, 404, 409])
async def change_vendor_status(vendor_id: UUID, order_id: UUID, body: Progress, tx: Tx, caller: User) -> OrderOut:
    """Ship or deliver the vendor's items."""
    await own_vendor(vendor_id, caller, tx, admin=True)
    order = await hold_order(order_id, tx)
    items = _own(order, vendor_id)
    await _progress(order, items, body, caller, tx)
    return _part(order, items)


def _own(order: Order, vendor_id: UUID | None) -> list[OrderItem]:
    items = order.items_of(vendor_id)
    if not items:
        raise _forbidden()
    return items


async def _progress(order: Order, items: Sequence[OrderItem], wish: Progress, caller: User, tx: Tx) -> None:
    """Bring items further, all of those that are named or none. Those that are there already stay as they are."""
    moving = [item for item in _named(items, wish.item_ids) if item.status != wish.status]
    if not moving:
        return
    if wish.status == "refunded":
        if not is_admin(caller):
            raise _forbidden()
        await refund_delivered(order, moving, tx)
        return
    previous = order.move(moving, wish.status, tx.now())
    for item in moving:
        item.tracking_number = wish.tracking_number or item.tracking_number
    tx.publish(order.status_changed(previous))


def _named(items: Sequence[OrderItem], item_ids: Sequence[UUID] | None) -> list[OrderItem]:
    """The items that are named, or all that live. Raises Problem 403 for one that is not among them."""
    if item_ids is None:
        return [item for item in items if item.status in ADVANCE]
    known = {item.id: item for item in items}
    if not known.keys() >= set(item_ids):
        raise Problem(403, "FORBIDDEN", "itemIds: one of them is not an item of yours in this order")
    return [known[id] for id in dict.fromkeys(item_ids)]


@vendor.put("/orders/{id}/received", access=user, errors=[403, 404, 409])
async def received(id: UUID, tx: Tx, caller: User) -> OrderOut:
    """The customer has it: what was shipped is delivered."""
    order = await hold_order(id, tx)
    if order.customer_id != caller.id:
        raise _forbidden()
    shipped = [item for item in order.items if item.status == "shipped"]
    if shipped:
        tx.publish(order.status_changed(order.move(shipped, "delivered", tx.now())))
    elif order.status != "delivered":
        raise Problem(
            409, "INVALID_STATUS_TRANSITION", "Nothing of it was shipped",
            details={"from": order.status, "to": "delivered"},
        )  # fmt: skip
    return _whole(order)
