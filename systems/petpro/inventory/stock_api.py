"""Stock as people see it and put it right."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, list_rows, public, role
from systems.petpro.bodies import PageOf
from systems.petpro.inventory.bodies import (
    AdjustedStock,
    Adjustment,
    LowStock,
    MovementList,
    MovementOut,
    ProductOut,
    StockOut,
)
from systems.petpro.inventory.contract import MovementType
from systems.petpro.inventory.declaration import inventory
from systems.petpro.inventory.owners import check_own
from systems.petpro.inventory.products_api import product_of
from systems.petpro.inventory.stock import lock_stock, move
from systems.petpro.inventory.tables import Product, Stock, StockMovement

KEEPERS = ("admin", "staff")
keeper = role(*KEEPERS)


@inventory.get("/inventory/stock/low", access=keeper)
@inventory.get("/products/low-stock", access=keeper)
@inventory.get("/admin/inventory/alerts/low-stock", access=keeper)
async def list_low_stock(query: Annotated[PageOf, Query()], tx: Tx) -> CamelListing[LowStock]:
    """Products that are at or under their threshold, by name."""
    low = select(Product).join(Stock, Stock.product_id == Product.id)
    low = low.where(Product.is_active, Stock.quantity_available <= Stock.reorder_threshold)
    return CamelListing.of(await list_rows(tx, low, query, order_by=Product.name, show=_low))


def _low(product: Product) -> LowStock:
    return LowStock(
        product_id=product.id,
        product_name=product.name,
        sku=product.sku,
        vendor_id=product.vendor_id,
        quantity_available=product.stock.quantity_available,
        quantity_reserved=product.stock.quantity_reserved,
        reorder_threshold=product.stock.reorder_threshold,
        warehouse_location=product.stock.warehouse_location,
    )


@inventory.get("/products/{id}", access=public, errors=[404])
@inventory.get("/inventory/products/{id}", access=public, errors=[404])
@inventory.get("/admin/inventory/products/{id}", access=public, errors=[404])
async def get_product(id: UUID, tx: Tx) -> ProductOut:
    """A product, on sale or not. It stands behind the lists whose paths look like a product's."""
    return ProductOut.model_validate(await product_of(id, tx))


@inventory.get("/inventory/stock/product/{product_id}", access=public, errors=[404])
async def get_stock(product_id: UUID, tx: Tx, caller: User | None) -> StockOut:
    """How many there are."""
    product = await product_of(product_id, tx)
    keeps = caller is not None and caller.has_role(*KEEPERS)
    return StockOut(
        product_id=product.id,
        quantity_available=product.stock.quantity_available,
        quantity_reserved=product.stock.quantity_reserved if keeps else None,
        reorder_threshold=product.stock.reorder_threshold,
        availability=product.availability,
    )


@inventory.patch(
    "/inventory/stock/product/{product_id}/adjust", access=keeper, idempotency="optional", errors=[404, 422]
)
async def adjust(product_id: UUID, body: Adjustment, tx: Tx, caller: User) -> AdjustedStock:
    """Put the stock right, and say why in its ledger."""
    await product_of(product_id, tx)
    stock = (await lock_stock({product_id}, tx))[product_id]
    kind, quantity = _movement(body, stock)
    if quantity:
        details = {"reason": body.reason, "notes": body.notes, "adjustment_type": body.adjustment_type}
        try:
            move(stock, kind, quantity, tx, reference=("user", str(caller.id)), **details)
        except ValueError:
            raise Problem(
                422,
                "INSUFFICIENT_STOCK",
                f"There are only {stock.quantity_available}",
                available=stock.quantity_available,
            ) from None
    return AdjustedStock.model_validate(stock)


@inventory.put("/admin/inventory/products/{id}/stock", access=keeper, idempotency="optional", errors=[404, 422])
async def adjust_product(id: UUID, body: Adjustment, tx: Tx, caller: User) -> AdjustedStock:
    """The same, at its older address."""
    return await adjust(id, body, tx, caller)


def _movement(body: Adjustment, stock: Stock) -> tuple[MovementType, int]:
    match body.adjustment_type:
        case "restock":
            return "stock_in", body.quantity
        case "damaged":
            return "damaged", -body.quantity
        case "decrease":
            return "adjustment", -body.quantity
        case "set":
            return "adjustment", body.quantity - stock.quantity_available
        case "increase":
            return "adjustment", body.quantity


@inventory.get("/products/{id}/inventory/history", access=role(*KEEPERS, "vendor"), errors=[403, 404])
async def list_movements(
    id: UUID, query: Annotated[MovementList, Query()], tx: Tx, caller: User
) -> CamelListing[MovementOut]:
    """The product's ledger, newest first."""
    await check_own(await product_of(id, tx), caller, tx, roles=KEEPERS)
    ledger = select(StockMovement).where(StockMovement.product_id == id)
    if query.start_date is not None:
        ledger = ledger.where(StockMovement.created_at >= query.start_date)
    if query.end_date is not None:
        ledger = ledger.where(StockMovement.created_at <= query.end_date)
    order, show = StockMovement.created_at, MovementOut.model_validate
    return CamelListing.of(await list_rows(tx, ledger, query, order_by=order, descending=True, show=show))
