"""Money that goes back to customers: decided with the order, carried out at the gateway, however often it takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import func, select

from freehold import Problem, Tx, Work, gauge, uuid7
from systems.petpro.gateway import GatewayDown, PaymentGateway
from systems.petpro.vendor.order_tables import Order, OrderItem, OrderPayment, OrderRefund
from systems.petpro.vendor.orders import hold_order
from systems.petpro.vendor.rules import wait_before_retry
from systems.petpro.vendor.sagas import Refunding, cancel_order
from systems.petpro.vendor.settings import VendorSettings

log = logging.getLogger(__name__)
STUCK_AFTER = 10
STUCK = gauge("petpro_order_refunds_stuck", "Refunds of orders that failed ten times or more: alert above zero")

# --- deciding ---------------------------------------------------------------------------------------------------------


async def cancel_paid(order: Order, items: Sequence[OrderItem], reason: str, tx: Tx) -> None:
    """Cancel items that were paid and not shipped: their stock returns, and so does their money.

    Raises Problem 409 where one of them is under way already.
    """
    cancelled = list(items)
    order.move(cancelled, "cancelled", tx.now())
    if order.status == "cancelled":
        order.cancellation_reason = reason
    refund = await _ask(order, cancelled, reason, tx)
    tx.publish(order.cancelled(cancelled, reason, refund.amount))


async def refund_delivered(order: Order, items: Sequence[OrderItem], tx: Tx) -> None:
    """Give the money for delivered items back. Raises Problem 409 when it is too late for one."""
    days = tx.use(VendorSettings).refund_within_days
    for item in items:
        if item.delivered_at is not None and item.delivered_at + timedelta(days=days) < tx.now():
            raise Problem(409, "REFUND_WINDOW_CLOSED", f"What was delivered {days} days ago is not refunded any more")
    refunded = list(items)
    previous = order.move(refunded, "refunded", tx.now())
    await _ask(order, refunded, "refunded", tx)
    tx.publish(order.status_changed(previous))


async def refund_late(order: Order, tx: Tx) -> None:
    """Somebody paid an order that was given up: all of it goes back."""
    await _ask(order, order.items, "paid too late", tx)


async def _ask(order: Order, items: Sequence[OrderItem], reason: str, tx: Tx) -> OrderRefund:
    payment = order.payment
    assert payment is not None  # noqa: S101 - nothing is given back of what was never paid
    before = await tx.scalar(select(func.count()).where(OrderRefund.payment_id == payment.id))
    refund = OrderRefund(
        id=uuid7(tx.now()),
        order_id=order.id,
        payment_id=payment.id,
        sequence=before + 1,
        amount=sum(item.total for item in items),
        reason=reason,
        item_ids=[str(item.id) for item in items],
        status="pending",
        tries=0,
        next_try_at=tx.now(),
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    tx.add(refund)
    payment.become("refund_pending", tx.now())
    await tx.start(cancel_order, Refunding(refund_id=refund.id, order_id=order.id))
    return refund


# --- carrying out -----------------------------------------------------------------------------------------------------


async def give_back(refund_id: UUID, work: Work, gateway: PaymentGateway) -> None:
    """Have the gateway give it back, once for its key, and keep what came of it."""
    async with work.transaction(readonly=True) as tx:
        refund = await tx.get(OrderRefund, refund_id)
        payment = None if refund is None else await tx.get(OrderPayment, refund.payment_id)
    if refund is None or payment is None or refund.status == "done" or payment.external_reference is None:
        return
    try:
        await gateway.refund(refund.key, payment.external_reference, refund.amount)
    except GatewayDown as error:
        await work.run(partial(_try_later, refund_id, error))
    else:
        await work.run(partial(_finish, refund_id))


async def _try_later(refund_id: UUID, error: GatewayDown, tx: Tx) -> None:
    refund = await tx.get(OrderRefund, refund_id, lock=True)
    if refund is None or refund.status == "done":
        return
    refund.tries += 1
    refund.updated_at, refund.next_try_at = tx.now(), tx.now() + wait_before_retry(refund.tries)
    level = logging.ERROR if refund.tries >= STUCK_AFTER else logging.WARNING
    log.log(level, "refund %s of order %s failed %d times: %s", refund_id, refund.order_id, refund.tries, error)


async def _finish(refund_id: UUID, tx: Tx) -> None:
    asked = await tx.get(OrderRefund, refund_id)
    if asked is None:
        return
    order = await hold_order(asked.order_id, tx)
    refund = await tx.get(OrderRefund, refund_id, lock=True)
    if refund is None or refund.status == "done" or order.payment is None:
        return
    tx.publish(refund.done(order.payment, tx.now()))
    others = OrderRefund.payment_id == refund.payment_id, OrderRefund.status == "pending", OrderRefund.id != refund_id
    if await tx.scalar(select(func.count()).where(*others)):
        return
    all_of_it = order.payment.refunded_amount == order.payment.amount
    order.payment.become("refunded" if all_of_it else "partially_refunded", tx.now())


async def count_stuck(tx: Tx) -> None:
    """Let operators see what the gateway does not give back."""
    stuck = select(func.count()).where(OrderRefund.status == "pending", OrderRefund.tries >= STUCK_AFTER)
    STUCK.set(await tx.scalar(stuck))
