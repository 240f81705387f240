"""Tenants: an admin acts within the own one, a super_admin in any."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import or_, select

from freehold import Listing, Problem, Tx, User, list_rows, not_found, role
from systems.booking_rush.auth import facts
from systems.booking_rush.auth.bodies import Done, NewTenant, TenantChanges, TenantDetails, TenantList
from systems.booking_rush.auth.declaration import auth
from systems.booking_rush.auth.rules import ADMINS, require_tenant
from systems.booking_rush.auth.tables import Tenant

admin = role(*ADMINS)


@auth.post("/tenants", access=admin, status_code=201, invalid="BAD_REQUEST", errors=[409])
async def create_tenant(body: NewTenant, tx: Tx) -> TenantDetails:
    """Found a tenant."""
    now = tx.now()
    tenant = Tenant(**body.model_dump(), is_active=True, created_at=now, updated_at=now)
    await tx.insert(tenant, taken=Problem(409, "TENANT_EXISTS", f"The slug {body.slug!r} is taken"))
    tx.publish(facts.tenant_created(tenant))
    tx.audit("create", "tenant", tenant.id, after=body.model_dump())
    return TenantDetails.model_validate(tenant)


@auth.get("/tenants", access=admin)
async def list_tenants(query: Annotated[TenantList, Query()], tx: Tx, caller: User) -> Listing[TenantDetails]:
    """The tenants that the caller administers."""
    found = select(Tenant).where(Tenant.deleted_at.is_(None))
    if not caller.has_role("super_admin"):
        found = found.where(Tenant.id == caller.tenant_id)
    if query.is_active is not None:
        found = found.where(Tenant.is_active == query.is_active)
    if query.search:
        matches = (column.icontains(query.search, autoescape=True) for column in (Tenant.name, Tenant.slug))
        found = found.where(or_(*matches))
    return await list_rows(tx, found, query, order_by=Tenant.created_at, show=TenantDetails.model_validate)


@auth.get("/tenants/slug/{slug}", access=admin, errors=[404])
async def show_tenant_by_slug(slug: str, tx: Tx, caller: User) -> TenantDetails:
    """A tenant, by its slug."""
    tenant = await tx.find(Tenant, Tenant.slug == slug, Tenant.deleted_at.is_(None))
    if tenant is None:
        raise not_found("The tenant")
    require_tenant(caller, tenant.id)
    return TenantDetails.model_validate(tenant)


@auth.get("/tenants/{id}", access=admin, errors=[404])
async def show_tenant(id: UUID, tx: Tx, caller: User) -> TenantDetails:
    """A tenant."""
    return TenantDetails.model_validate(await _tenant(id, tx, caller))


@auth.put("/tenants/{id}", access=admin, errors=[404], invalid="BAD_REQUEST")
async def change_tenant(id: UUID, body: TenantChanges, tx: Tx, caller: User) -> TenantDetails:
    """Change a tenant. An inactive one lets nobody log in and sells nothing."""
    tenant = await _tenant(id, tx, caller)
    changes = body.given()
    before = {column: getattr(tenant, column) for column in changes}
    for column, value in changes.items():
        setattr(tenant, column, value)
    tenant.updated_at = tx.now()
    tx.publish(facts.tenant_updated(tenant))
    tx.audit("update", "tenant", id, before=before, after=changes)
    return TenantDetails.model_validate(tenant)


@auth.delete("/tenants/{id}", access=role("super_admin"), errors=[404])
async def delete_tenant(id: UUID, tx: Tx, caller: User) -> Done:
    """Delete a tenant. Its row stays, inactive."""
    tenant = await _tenant(id, tx, caller)
    tenant.deleted_at = tenant.updated_at = tx.now()
    tenant.is_active = False
    tx.publish(facts.tenant_updated(tenant))
    tx.audit("delete", "tenant", id, before={"name": tenant.name, "slug": tenant.slug})
    return Done(message="The tenant is deleted")


async def _tenant(id: UUID, tx: Tx, caller: User) -> Tenant:
    require_tenant(caller, id)
    tenant = await tx.get(Tenant, id, lock=True)
    if tenant is None or tenant.deleted_at is not None:
        raise not_found("The tenant")
    return tenant
