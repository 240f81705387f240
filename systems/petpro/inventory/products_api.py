"""The catalogue: what customers look through, and how vendors and administrators fill it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, case, select

from freehold import CamelListing, Problem, Tx, User, list_rows, not_found, public, role
from systems.petpro.inventory.bodies import (
    NewProduct,
    ProductChanges,
    ProductList,
    ProductOut,
    ProductPage,
    ProductSearch,
    price_problem,
)
from systems.petpro.inventory.declaration import inventory
from systems.petpro.inventory.owners import check_assignable, check_own
from systems.petpro.inventory.stock import lock_stock, move
from systems.petpro.inventory.tables import Category, Product, Stock

seller = role("admin", "vendor")
EFFECTIVE_PRICE = case((Product.on_sale, Product.sale_price), else_=Product.regular_price)

# --- looking ----------------------------------------------------------------------------------------------------------


@inventory.get("/inventory/products", access=public)
@inventory.get("/admin/inventory/products", access=public)
@inventory.get("/products", access=public)
async def list_products(query: Annotated[ProductList, Query()], tx: Tx) -> CamelListing[ProductOut]:
    """Products on sale, newest first."""
    return await _page(_wanted(query, query.category), query, tx)


@inventory.get("/products/search", access=public)
async def search_products(query: Annotated[ProductSearch, Query()], tx: Tx) -> CamelListing[ProductOut]:
    """Products whose name, description or stock-keeping unit has these words in it."""
    return await _page(_wanted(query, query.category), query, tx)


@inventory.get("/products/category/{id}", access=public, errors=[404])
async def list_category(id: UUID, query: Annotated[ProductPage, Query()], tx: Tx) -> CamelListing[ProductOut]:
    """Products of one category."""
    await _check_category(id, tx)
    return await _page(_wanted(query, id), query, tx)


def _wanted(query: ProductPage, category_id: UUID | None) -> Select[Any]:
    found = select(Product).where(Product.is_active)
    if category_id is not None:
        found = found.where(Product.category_id == category_id)
    if query.vendor_id is not None:
        found = found.where(Product.vendor_id == query.vendor_id)
    if query.featured is not None:
        found = found.where(Product.is_featured == query.featured)
    if query.min_price is not None:
        found = found.where(query.min_price <= EFFECTIVE_PRICE)
    if query.max_price is not None:
        found = found.where(query.max_price >= EFFECTIVE_PRICE)
    if query.query is not None:
        words = (column.icontains(query.query, autoescape=True) for column in (Product.name, Product.description))
        found = found.where(next(words) | next(words) | (Product.sku == query.query))
    return found


async def _page(found: Select[Any], query: ProductPage, tx: Tx) -> CamelListing[ProductOut]:
    show = ProductOut.model_validate
    return CamelListing.of(await list_rows(tx, found, query, order_by=Product.created_at, descending=True, show=show))


async def product_of(id: UUID, tx: Tx, *, lock: bool = False) -> Product:
    """The product. Raises Problem 404."""
    product = await tx.get(Product, id, lock=lock)
    if product is None:
        raise not_found("The product", "PRODUCT_NOT_FOUND")
    return product


# --- selling ----------------------------------------------------------------------------------------------------------


@inventory.post("/inventory/products", access=seller, status_code=201, errors=[403, 404, 409, 422])
@inventory.post("/admin/inventory/products", access=seller, status_code=201, errors=[403, 404, 409, 422])
async def create_product(body: NewProduct, tx: Tx, caller: User) -> ProductOut:
    """Add a product, with what there is of it."""
    await check_assignable(body.vendor_id, caller, tx)
    category = await _check_category(body.category_id, tx)
    now, times = tx.now(), {"created_at": tx.now(), "updated_at": tx.now()}
    columns = body.model_dump(exclude={"initial_quantity", "reorder_threshold"})
    product = Product(**columns, version=1, category=category, **times)
    product.stock = Stock(
        quantity_available=0, quantity_reserved=0, reorder_threshold=body.reorder_threshold, version=0, **times
    )
    await tx.insert(product, taken=_sku_taken(body.sku))
    if body.initial_quantity:
        move(product.stock, "stock_in", body.initial_quantity, tx, reason="initial_quantity")
    else:
        tx.publish(product.stock.changed("stock_in", 0, now))
    tx.publish(product.created())
    return ProductOut.model_validate(product)


@inventory.put("/inventory/products/{id}", access=seller, errors=[403, 404, 409, 422])
@inventory.patch("/inventory/products/{id}", access=seller, errors=[403, 404, 409, 422])
@inventory.put("/admin/inventory/products/{id}", access=seller, errors=[403, 404, 409, 422])
@inventory.patch("/admin/inventory/products/{id}", access=seller, errors=[403, 404, 409, 422])
async def change_product(id: UUID, body: ProductChanges, tx: Tx, caller: User) -> ProductOut:
    """Change what is given."""
    await check_own(await product_of(id, tx), caller, tx)
    changes = body.model_dump(exclude_unset=True)
    threshold = changes.pop("reorder_threshold", None)
    if "vendor_id" in changes:
        await check_assignable(changes["vendor_id"], caller, tx)
    product = await product_of(id, tx, lock=True)
    await _check_changes(product, changes, tx)
    was_active = product.is_active
    if "category_id" in changes:
        product.category = await _check_category(changes["category_id"], tx)
    for column, value in changes.items():
        setattr(product, column, value)
    product.touch(tx.now())
    tx.publish(product.updated())
    if was_active and not product.is_active:
        tx.publish(product.deactivated("taken off sale"))
    if threshold is not None:
        stock = (await lock_stock({id}, tx))[id]
        stock.reorder_threshold = threshold
        tx.publish(stock.changed("adjustment", 0, tx.now()))
    return ProductOut.model_validate(product)


@inventory.delete("/inventory/products/{id}", access=seller, status_code=204, errors=[403, 404])
@inventory.delete("/admin/inventory/products/{id}", access=seller, status_code=204, errors=[403, 404])
async def deactivate_product(id: UUID, tx: Tx, caller: User) -> None:
    """Take a product off sale. Open orders are fulfilled."""
    await check_own(await product_of(id, tx), caller, tx)
    product = await product_of(id, tx, lock=True)
    if product.is_active:
        product.is_active = False
        product.touch(tx.now())
        tx.publish(product.deactivated("removed from the catalogue"))


async def _check_category(id: UUID, tx: Tx) -> Category:
    category = await tx.get(Category, id)
    if category is None:
        raise not_found("The category", "CATEGORY_NOT_FOUND")
    return category


async def _check_changes(product: Product, changes: dict[str, Any], tx: Tx) -> None:
    given = {column: changes.get(column, getattr(product, column)) for column in ("regular_price", "sale_price")}
    on_sale = changes.get("on_sale", product.on_sale)
    problem = price_problem(given["regular_price"], given["sale_price"], on_sale=on_sale)
    if problem is not None:
        raise Problem(400, "VALIDATION_ERROR", problem)
    if (sku := changes.get("sku")) is not None and sku != product.sku:
        twin = await tx.scalar(select(Product.id).where(Product.sku == sku))
        if twin is not None:
            raise _sku_taken(sku)


def _sku_taken(sku: str) -> Problem:
    return Problem(409, "DUPLICATE_SKU", f"The stock-keeping unit {sku!r} belongs to another product")
