"""Roles, what they permit, and who has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, list_rows, not_found, role, uuid7
from systems.petpro.auth import facts
from systems.petpro.auth.accounts import account_of
from systems.petpro.auth.bodies import NewRole, PermissionOut, RoleGiven, RoleOut, RolePermissions, RolesOfUser
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.roles import ensure_roles, permissions_named, role_named
from systems.petpro.auth.tables import Permission, Role, RolePermission, UserRole
from systems.petpro.bodies import PageOf

admin = role("admin")


@auth.get("/permissions", access=admin, writes=True)
async def list_permissions(query: Annotated[PageOf, Query()], tx: Tx) -> CamelListing[PermissionOut]:
    """What roles can permit, by name."""
    await ensure_roles(tx)
    found = select(Permission)
    return CamelListing.of(
        await list_rows(tx, found, query, order_by=Permission.name, show=PermissionOut.model_validate)
    )


@auth.get("/roles", access=admin, writes=True)
async def list_roles(query: Annotated[PageOf, Query()], tx: Tx) -> CamelListing[RoleOut]:
    """All roles, by name."""
    await ensure_roles(tx)
    return CamelListing.of(await list_rows(tx, select(Role), query, order_by=Role.name, show=RoleOut.model_validate))


@auth.post("/roles", access=admin, status_code=201, errors=[409])
async def create_role(body: NewRole, tx: Tx) -> RoleOut:
    """Make a role beside those that are always there."""
    await ensure_roles(tx)
    permissions = await permissions_named(body.permissions, tx)
    made = Role(id=uuid7(), name=body.name, description=body.description, created_at=tx.now(), updated_at=tx.now())
    made.grants = _grants(permissions, tx.now())
    await tx.insert(made, taken=Problem(409, "ROLE_EXISTS", f"There is a role {body.name!r} already"))
    tx.audit("create", "role", made.id, after=body.model_dump())
    return RoleOut.model_validate(made)


@auth.put("/roles/{id}/permissions", access=admin, errors=[404, 409])
async def set_permissions(id: UUID, body: RolePermissions, tx: Tx) -> RoleOut:
    """Give a role exactly these permissions. Tokens that are out already keep theirs until they expire."""
    await ensure_roles(tx)
    changed = await tx.get(Role, id, lock=True)
    if changed is None:
        raise not_found("The role", "ROLE_NOT_FOUND")
    if changed.name == "admin":
        raise Problem(409, "ROLE_FIXED", "An admin may do everything, always")
    permissions = await permissions_named(body.permissions, tx)
    before = changed.permissions
    kept = [grant for grant in changed.grants if grant.permission in permissions]
    had = [grant.permission for grant in kept]
    changed.grants = kept + _grants([each for each in permissions if each not in had], tx.now())
    changed.updated_at = tx.now()
    tx.audit("set_permissions", "role", id, before={"names": before}, after={"names": changed.permissions})
    return RoleOut.model_validate(changed)


def _grants(permissions: list[Permission], now: datetime) -> list[RolePermission]:
    return [RolePermission(permission=permission, created_at=now) for permission in permissions]


@auth.post("/users/{id}/roles", access=admin, status_code=201, errors=[404, 409])
async def give_role(id: UUID, body: RoleGiven, tx: Tx) -> RolesOfUser:
    """Give a user one more role."""
    given = await role_named(body.role, tx)
    account = await account_of(id, tx)
    if given.name in account.roles:
        raise Problem(409, "ROLE_ALREADY_ASSIGNED", f"The user has the role {given.name!r} already")
    account.grants.append(UserRole(role=given, created_at=tx.now()))
    account.touch(tx.now())
    tx.publish(facts.user_updated(account))
    tx.audit("give_role", "user", id, after={"role": given.name})
    return RolesOfUser.of(account)


@auth.delete("/users/{id}/roles/{role_id}", access=admin, status_code=204, errors=[404])
async def take_role(id: UUID, role_id: UUID, tx: Tx) -> None:
    """Take a role away from a user."""
    account = await account_of(id, tx)
    held = next((grant for grant in account.grants if grant.role_id == role_id), None)
    if held is None:
        raise not_found("A role of this user", "ROLE_NOT_FOUND")
    account.grants.remove(held)
    account.touch(tx.now())
    tx.publish(facts.user_updated(account))
    tx.audit("take_role", "user", id, before={"role": held.role.name})
