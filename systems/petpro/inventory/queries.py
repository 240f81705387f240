"""What inventory tells its siblings."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from sqlalchemy import select

from freehold import Page, Tx, not_found, page_of
from systems.petpro.inventory.contract import (
    CheckStock,
    GetProduct,
    GetStock,
    ProductRow,
    SnapshotProducts,
    SnapshotStock,
    StockAnswer,
    StockRow,
    StockShortage,
)
from systems.petpro.inventory.declaration import inventory
from systems.petpro.inventory.products_api import product_of
from systems.petpro.inventory.tables import Product, Stock


@inventory.answers(GetProduct)
async def get_product(query: GetProduct, tx: Tx) -> ProductRow:
    return (await product_of(query.product_id, tx)).as_row()


@inventory.answers(GetStock)
async def get_stock(query: GetStock, tx: Tx) -> StockRow:
    stock = await tx.find(Stock, Stock.product_id == query.product_id)
    if stock is None:
        raise not_found("The product", "PRODUCT_NOT_FOUND")
    return stock.as_row()


@inventory.answers(CheckStock, writes=False)
async def check_stock(query: CheckStock, tx: Tx) -> StockAnswer:
    wanted: Counter[UUID] = Counter()
    for item in query.items:
        wanted[item.product_id] += item.quantity
    found = select(Stock.product_id, Stock.quantity_available).where(Stock.product_id.in_(list(wanted)))
    free = {row.product_id: row.quantity_available for row in await tx.execute(found)}
    short = [
        StockShortage(product_id=product_id, requested=quantity, available=free.get(product_id, 0))
        for product_id, quantity in wanted.items()
        if quantity > free.get(product_id, 0)
    ]
    return StockAnswer(ok=not short, shortages=short)


@inventory.answers(SnapshotProducts)
async def snapshot_products(query: SnapshotProducts, tx: Tx) -> Page[ProductRow]:
    products = await tx.scalars(page_of(select(Product), query, by=Product.id))
    return Page[ProductRow].of([product.as_row() for product in products], query, "product_id")


@inventory.answers(SnapshotStock)
async def snapshot_stock(query: SnapshotStock, tx: Tx) -> Page[StockRow]:
    stock = await tx.scalars(page_of(select(Stock), query, by=Stock.product_id))
    return Page[StockRow].of([row.as_row() for row in stock], query, "product_id")
