"""What vendor does by the clock."""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from sqlalchemy import Select, select

from freehold import Work
from systems.petpro.gateway import GatewayDown, PaymentGateway
from systems.petpro.inventory.contract import SnapshotStock
from systems.petpro.vendor.copies import products, show_stock, users
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.order_tables import Order, OrderPayment, OrderRefund, Payout
from systems.petpro.vendor.orders import expire
from systems.petpro.vendor.payments import open_session
from systems.petpro.vendor.payouts import run_payouts, transfer
from systems.petpro.vendor.refunds import count_stuck, give_back
from systems.petpro.vendor.rules import last_run

log = logging.getLogger(__name__)
BATCH = 200


async def _ids(work: Work, found: Select[UUID]) -> list[UUID]:
    async with work.transaction(readonly=True) as tx:
        return list(await tx.scalars(found.limit(BATCH)))


@vendor.every(seconds=5)
async def expire_orders(work: Work) -> None:
    """Cancel orders that nobody paid in time, each in a transaction of its own, and let their stock go."""
    due = Order.status == "pending", Order.payment_due_at <= work.now()
    while overdue := await _ids(work, select(Order.id).where(*due).order_by(Order.payment_due_at)):
        for order_id in overdue:
            await work.run(partial(expire, order_id))


@vendor.every(seconds=1)
async def open_sessions(work: Work, gateway: PaymentGateway) -> None:
    """Ask the gateway where the customers pay whose stock is held."""
    without = OrderPayment.payment_url.is_(None), OrderPayment.status == "pending"
    for payment_id in await _ids(work, select(OrderPayment.id).where(*without).order_by(OrderPayment.id)):
        try:
            await open_session(payment_id, work, gateway)
        except GatewayDown as error:
            log.warning("there is no session for payment %s yet: %s", payment_id, error)


@vendor.every(minutes=1)
async def retry_refunds(work: Work, gateway: PaymentGateway) -> None:
    """Give back what is to be given back, until the gateway has done it."""
    due = OrderRefund.status == "pending", OrderRefund.next_try_at <= work.now()
    for refund_id in await _ids(work, select(OrderRefund.id).where(*due).order_by(OrderRefund.next_try_at)):
        await give_back(refund_id, work, gateway)
    await work.run(count_stuck, readonly=True)


@vendor.every(hours=1)
async def payout_run(work: Work) -> None:
    """Pay vendors what was due on Monday at 02:00 UTC; a run that was missed is made up for within the hour."""
    await run_payouts(last_run(work.now()), work)


@vendor.every(minutes=1)
async def transfer_payouts(work: Work, gateway: PaymentGateway) -> None:
    """Transfer what is to be paid."""
    under_way = select(Payout.id).where(Payout.status == "processing").order_by(Payout.updated_at)
    for payout_id in await _ids(work, under_way):
        await transfer(payout_id, work, gateway)


@vendor.every(hours=24)
async def reconcile_listings(work: Work) -> None:
    """Compare the copies of products, and how many there are of what is listed, with what inventory says."""
    await work.reconcile(products)
    cursor: str | None = None
    while True:
        page = await work.ask(SnapshotStock(cursor=cursor))
        for stock in page.data:
            if await work.run(partial(show_stock, stock)):
                work.drifted("vendor_products.quantity")
                log.warning("product %s: its listings showed an old quantity", stock.product_id)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


@vendor.every(hours=24)
async def reconcile_users(work: Work) -> None:
    """Compare the copies of users with what auth says."""
    await work.reconcile(users)
