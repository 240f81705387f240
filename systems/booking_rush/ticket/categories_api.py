"""Categories of events."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import exists, select, update

from freehold import Listing, Problem, Tx, User, list_rows, not_found, public, role
from systems.booking_rush.ticket.bodies import CategoryChanges, CategoryDetails, CategoryList, Done, NewCategory
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.rules import EDITORS, released_slug
from systems.booking_rush.ticket.tables import Category, Event, TenantDirectory

editor = role(*EDITORS)


@ticket.get("/categories", access=public, invalid="BAD_REQUEST")
async def list_categories(query: Annotated[CategoryList, Query()], tx: Tx) -> Listing[CategoryDetails]:
    """The categories of active tenants, in their own order."""
    inactive = exists().where(TenantDirectory.tenant_id == Category.tenant_id, ~TenantDirectory.is_active)
    found = select(Category).where(Category.deleted_at.is_(None), ~inactive)
    if query.is_active is not None:
        found = found.where(Category.is_active == query.is_active)
    return await list_rows(tx, found, query, order_by=Category.sort_order, show=CategoryDetails.model_validate)


@ticket.post("/categories", access=editor, status_code=201, invalid="BAD_REQUEST", errors=[409])
async def create_category(body: NewCategory, tx: Tx, caller: User) -> CategoryDetails:
    """Add a category to the tenant's."""
    category = Category(
        **body.model_dump(exclude={"slug"}),
        slug=body.slug_wanted(),
        tenant_id=tx.context.tenant_id or caller.tenant_id,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    await tx.insert(category, taken=_taken(category.slug))
    tx.audit("create", "category", category.id, after=body.model_dump(mode="json"))
    return CategoryDetails.model_validate(category)


@ticket.put("/categories/{id}", access=editor, invalid="BAD_REQUEST", errors=[404, 409])
async def change_category(id: UUID, body: CategoryChanges, tx: Tx) -> CategoryDetails:
    """Change a category."""
    category = await _category(id, tx)
    changes = body.given()
    if "slug" in changes:
        twin = select(Category.id).where(
            Category.tenant_id == category.tenant_id, Category.slug == body.slug, Category.id != id
        )
        if await tx.scalar(twin) is not None:
            raise _taken(body.slug)
    before = CategoryDetails.model_validate(category).model_dump(mode="json", include=set(changes))
    for column, value in changes.items():
        setattr(category, column, value)
    category.updated_at = tx.now()
    tx.audit("update", "category", id, before=before, after=body.model_dump(mode="json", exclude_unset=True))
    return CategoryDetails.model_validate(category)


@ticket.delete("/categories/{id}", access=editor, errors=[404])
async def delete_category(id: UUID, tx: Tx) -> Done:
    """Delete a category; its events keep running without one."""
    category = await _category(id, tx)
    category.deleted_at = category.updated_at = tx.now()
    category.is_active = False
    category.slug = released_slug(category.slug, id)
    await tx.execute(update(Event).where(Event.category_id == id).values(category_id=None, updated_at=tx.now()))
    tx.audit("delete", "category", id, before={"name": category.name})
    return Done(message="The category is deleted")


async def _category(id: UUID, tx: Tx) -> Category:
    category = await tx.get(Category, id, lock=True)
    if category is None or category.deleted_at is not None:
        raise not_found("The category")
    return category


def _taken(slug: str) -> Problem:
    return Problem(409, "CONFLICT", f"The slug {slug!r} is taken")
