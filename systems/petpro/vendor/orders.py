"""What becomes of an order, each step in the transaction that it is given. Whoever changes one locks its row first."""

from __future__ import annotations

from uuid import UUID

from freehold import Tx, not_found, uuid7
from systems.petpro.gateway import ORDERS
from systems.petpro.vendor.order_tables import CURRENCY, Order, OrderPayment


async def order_of(id: UUID, tx: Tx, *, lock: bool = False) -> Order:
    """The order with its items and its payment. Raises Problem 404."""
    order = await tx.get(Order, id, lock=lock)
    if order is None:
        raise not_found("The order", "ORDER_NOT_FOUND")
    return order


async def hold_order(id: UUID, tx: Tx) -> Order:
    """The order, locked. Raises Problem 404."""
    return await order_of(id, tx, lock=True)


# --- before it is paid ------------------------------------------------------------------------------------------------


def open_payment(order: Order, tx: Tx) -> None:
    """Its stock is held: it waits for its money."""
    if order.payment is not None:
        return
    id = uuid7(tx.now())
    order.reservation_state, order.updated_at = "reserved", tx.now()
    order.payment = OrderPayment(
        id=id,
        order_id=order.id,
        external_reference=f"{ORDERS}{id.hex}",
        amount=order.total_amount,
        currency=CURRENCY,
        payment_method=order.payment_method,
        status="pending",
        created_at=tx.now(),
        updated_at=tx.now(),
    )


def close_payment(order: Order, tx: Tx) -> None:
    """Nobody is to pay any more; what is paid all the same goes back."""
    if order.payment is not None and order.payment.status == "pending":
        order.payment.become("failed", tx.now())


def cancel_unpaid(order: Order, reason: str, tx: Tx) -> None:
    """Give up an order that waits for its stock or its money."""
    order.move(order.items, "cancelled", tx.now())
    order.reservation_state = "released" if order.reservation_state == "reserved" else "failed"
    order.cancellation_reason = reason
    close_payment(order, tx)
    tx.publish(order.cancelled(order.items, reason))


def cancel_again(order: Order, tx: Tx) -> None:
    """Tell once more of an order that was given up before its stock was held."""
    if order.reservation_state == "failed":
        order.reservation_state = "released"
    tx.publish(order.cancelled(order.items, order.cancellation_reason or "cancelled"))


async def expire(id: UUID, tx: Tx) -> None:
    """Cancel the order if nobody paid it in time."""
    order = await hold_order(id, tx)
    if order.status == "pending" and order.payment_due_at <= tx.now():
        cancel_unpaid(order, "payment_timeout", tx)


# --- it is paid -------------------------------------------------------------------------------------------------------


def pay(order: Order, payment: OrderPayment, tx: Tx) -> None:
    """The money is there: its vendors may ship."""
    order.move(order.items, "processing", tx.now())
    order.reservation_state = "committed"
    tx.publish(order.paid(payment, tx.now()))
