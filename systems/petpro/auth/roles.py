"""The roles and permissions that are always there."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select

from freehold import Tx, not_found, uuid7
from systems.petpro.auth.rules import DESCRIPTIONS, PERMISSIONS, ROLES
from systems.petpro.auth.tables import Permission, Role, RolePermission
from systems.petpro.bodies import invalid


async def ensure_roles(tx: Tx) -> None:
    """Make the fixed roles and permissions where they are missing: a fresh database has none.

    Whoever reads roles or permissions calls this before; so there is no step to forget between a new database and the
    first user. Two transactions that do it at once make the same rows.
    """
    if await tx.find(Role, Role.name == "admin") is not None:
        return
    now = tx.now()
    rows = [{"id": uuid7(), "name": name, "created_at": now} for name in PERMISSIONS]
    await tx.insert_new(Permission, rows, key=["name"])
    roles = [
        {"id": uuid7(), "name": name, "description": text, "created_at": now, "updated_at": now}
        for name, text in DESCRIPTIONS.items()
    ]
    await tx.insert_new(Role, roles, key=["name"])
    role_ids, permission_ids = await _ids(Role, tx), await _ids(Permission, tx)
    grants = [
        {"id": uuid7(), "role_id": role_ids[role], "permission_id": permission_ids[name], "created_at": now}
        for role, permitted in ROLES.items()
        for name in permitted
    ]
    await tx.insert_new(RolePermission, grants, key=["role_id", "permission_id"])


async def _ids(table: type[Role | Permission], tx: Tx) -> dict[str, UUID]:
    """By name; locked, which shows rows that another transaction has made since this one began."""
    rows = await tx.execute(select(table.name, table.id).with_for_update())
    return {row.name: row.id for row in rows}


async def role_named(name: str, tx: Tx) -> Role:
    """404 where there is none."""
    await ensure_roles(tx)
    role = await tx.find(Role, Role.name == name)
    if role is None:
        raise not_found(f"The role {name!r}", "ROLE_NOT_FOUND")
    return role


async def permissions_named(names: Collection[str], tx: Tx) -> list[Permission]:
    """400 that names those there are not."""
    found = list(await tx.scalars(select(Permission).where(Permission.name.in_(names))))
    unknown = sorted(set(names) - {permission.name for permission in found})
    if unknown:
        raise invalid("permissions", f"there is no {', '.join(unknown)}: see GET /permissions")
    return found
