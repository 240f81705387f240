"""What inventory does by the clock."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import func, select

from freehold import Tx, Work
from systems.petpro.inventory.declaration import inventory
from systems.petpro.inventory.rules import level_of
from systems.petpro.inventory.stock import lock_stock
from systems.petpro.inventory.tables import OrderHold, Product, Stock, StockMovement

log = logging.getLogger(__name__)
TOLD_AGAIN = timedelta(hours=24)
PAGE = 200


@inventory.every(hours=1)
async def low_stock_scan(work: Work) -> None:
    """Tell of products that run out, of each once in 24 hours."""
    told = work.now() - TOLD_AGAIN
    due = (
        select(Stock.product_id)
        .join(Product, Product.id == Stock.product_id)
        .where(Product.is_active, Stock.quantity_available <= Stock.reorder_threshold)
        .where(Stock.low_stock_told_at.is_(None) | (Stock.low_stock_told_at <= told))
    )
    async with work.transaction(readonly=True) as tx:
        products = list(await tx.scalars(due))
    for product_id in products:
        await work.run(partial(_tell, product_id))


async def _tell(product_id: UUID, tx: Tx) -> None:
    stock, product = (await lock_stock({product_id}, tx))[product_id], await tx.get(Product, product_id)
    if product is not None and stock.quantity_available <= stock.reorder_threshold:
        tx.publish(stock.low(product, tx.now()))


@inventory.every(hours=24)
async def reconcile_stock(work: Work) -> None:
    """Compare every product's stock with its ledger, and what is reserved with the orders that hold it.

    The ledger is right: it is only ever added to.
    """
    after: UUID | None = None
    while True:
        page = select(Stock.product_id).order_by(Stock.product_id).limit(PAGE)
        async with work.transaction(readonly=True) as tx:
            products = list(await tx.scalars(page if after is None else page.where(Stock.product_id > after)))
        for product_id in products:
            if await work.run(partial(_compare, product_id)):
                work.drifted("stock.off_its_ledger")
        if len(products) < PAGE:
            break
        after = products[-1]
    for product_id in await work.run(_suspects, readonly=True):
        if await work.run(partial(_compare_holds, product_id)):
            work.drifted("stock.off_its_orders")


async def _compare(product_id: UUID, tx: Tx) -> bool:
    """Whether the stock was not what its ledger says; it is now."""
    stock = (await lock_stock({product_id}, tx))[product_id]
    sums = (
        select(StockMovement.transaction_type, func.sum(StockMovement.quantity))
        .where(StockMovement.product_id == product_id)
        .group_by(StockMovement.transaction_type)
    )
    booked = level_of([(kind, int(total)) for kind, total in await tx.execute(sums)])
    if stock.level == booked:
        return False
    log.warning("product %s: the stock says %s, its ledger %s", product_id, stock.level, booked)
    stock.quantity_available, stock.quantity_reserved = booked.available, booked.reserved
    tx.publish(stock.changed("adjustment", 0, tx.now()))
    return True


async def _reserved(tx: Tx) -> Counter[UUID]:
    """How many units of each product are held by orders that wait for their payment."""
    reserved: Counter[UUID] = Counter()
    for lines in await tx.scalars(select(OrderHold.lines).where(OrderHold.state == "reserved")):
        for line in lines:
            reserved[UUID(line["product_id"])] += line["quantity"]
    return reserved


async def _suspects(tx: Tx) -> list[UUID]:
    reserved = await _reserved(tx)
    stock = await tx.execute(select(Stock.product_id, Stock.quantity_reserved))
    return [row.product_id for row in stock if row.quantity_reserved != reserved[row.product_id]]


async def _compare_holds(product_id: UUID, tx: Tx) -> bool:
    """Look again under the lock that every hold of the product is changed under; a difference is for people."""
    stock, held = (await lock_stock({product_id}, tx))[product_id], (await _reserved(tx))[product_id]
    if stock.quantity_reserved == held:
        return False
    log.error("product %s: %d are reserved, and orders hold %d", product_id, stock.quantity_reserved, held)
    return True
