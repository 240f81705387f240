"""Categories of products."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import exists, select

from freehold import CamelListing, Problem, Tx, list_rows, not_found, public, role
from systems.petpro.inventory.bodies import (
    CategoryChanges,
    CategoryList,
    CategoryOut,
    CategoryWithChildren,
    NewCategory,
)
from systems.petpro.inventory.declaration import inventory
from systems.petpro.inventory.tables import Category, Product

admin = role("admin")


@inventory.get("/inventory/categories", access=public)
@inventory.get("/admin/inventory/categories", access=public)
@inventory.get("/product-categories", access=public)
@inventory.get("/categories", access=public)
async def list_categories(query: Annotated[CategoryList, Query()], tx: Tx) -> CamelListing[CategoryOut]:
    """The categories in their own order; those within another one where it is named."""
    found = select(Category)
    if query.parent_id is not None:
        found = found.where(Category.parent_id == query.parent_id)
    show = CategoryOut.model_validate
    return CamelListing.of(await list_rows(tx, found, query, order_by=Category.display_order, show=show))


@inventory.get("/inventory/categories/{id}", access=public, errors=[404])
@inventory.get("/admin/inventory/categories/{id}", access=public, errors=[404])
async def get_category(id: UUID, tx: Tx) -> CategoryWithChildren:
    """A category and those within it."""
    category = await _category(id, tx)
    within = select(Category).where(Category.parent_id == id).order_by(Category.display_order, Category.id)
    shown = CategoryWithChildren.model_validate(category)
    shown.children = [CategoryOut.model_validate(child) for child in await tx.scalars(within)]
    return shown


@inventory.post("/inventory/categories", access=admin, status_code=201, errors=[404, 409])
@inventory.post("/admin/inventory/categories", access=admin, status_code=201, errors=[404, 409])
async def create_category(body: NewCategory, tx: Tx) -> CategoryOut:
    """Add a category."""
    if body.parent_id is not None:
        await _category(body.parent_id, tx)
    await _check_free(body.name, body.parent_id, tx)
    category = Category(**body.model_dump(), created_at=tx.now(), updated_at=tx.now())
    await tx.insert(category, taken=_taken(body.name))
    return CategoryOut.model_validate(category)


@inventory.patch("/inventory/categories/{id}", access=admin, errors=[404, 409])
@inventory.patch("/admin/inventory/categories/{id}", access=admin, errors=[404, 409])
async def change_category(id: UUID, body: CategoryChanges, tx: Tx) -> CategoryOut:
    """Change a category. Its products' copies elsewhere follow its name."""
    category = await _category(id, tx, lock=True)
    changes = body.model_dump(exclude_unset=True)
    name, parent_id = changes.get("name", category.name), changes.get("parent_id", category.parent_id)
    await _check_place(id, parent_id, tx)
    await _check_free(name, parent_id, tx, but=id)
    renamed = name != category.name
    for column, value in changes.items():
        setattr(category, column, value)
    category.updated_at = tx.now()
    if renamed:
        await _tell_products(id, tx)
    return CategoryOut.model_validate(category)


@inventory.delete("/inventory/categories/{id}", access=admin, status_code=204, errors=[404, 409])
@inventory.delete("/admin/inventory/categories/{id}", access=admin, status_code=204, errors=[404, 409])
async def delete_category(id: UUID, tx: Tx) -> None:
    """Delete a category that holds nothing."""
    category = await _category(id, tx, lock=True)
    for holds in (exists().where(Category.parent_id == id), exists().where(Product.category_id == id)):
        if await tx.scalar(select(holds)):
            raise Problem(409, "CATEGORY_NOT_EMPTY", "The category still has products or categories in it")
    await tx.delete(category)


async def _category(id: UUID, tx: Tx, *, lock: bool = False) -> Category:
    category = await tx.get(Category, id, lock=lock)
    if category is None:
        raise not_found("The category", "CATEGORY_NOT_FOUND")
    return category


async def _check_free(name: str, parent_id: UUID | None, tx: Tx, *, but: UUID | None = None) -> None:
    """Not every engine's unique key tells top categories apart, since their parent is null."""
    twins = select(Category.id).where(Category.name == name, Category.parent_id.is_not_distinct_from(parent_id))
    if any(twin != but for twin in await tx.scalars(twins)):
        raise _taken(name)


def _taken(name: str) -> Problem:
    return Problem(409, "DUPLICATE_CATEGORY", f"There is a category {name!r} in that place already")


async def _check_place(id: UUID, parent_id: UUID | None, tx: Tx) -> None:
    """Raises Problem when the parent is not there, or lies within the category itself."""
    while parent_id is not None:
        if parent_id == id:
            raise Problem(400, "CATEGORY_CYCLE", "parentId: a category cannot lie within itself")
        parent_id = (await _category(parent_id, tx)).parent_id


async def _tell_products(category_id: UUID, tx: Tx) -> None:
    """Copies of products have the category's name."""
    for product in await tx.scalars(select(Product).where(Product.category_id == category_id).with_for_update()):
        product.touch(tx.now())
        tx.publish(product.updated())
