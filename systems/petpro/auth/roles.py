"""The roles and permissions that are always there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import select

from freehold import Tx, not_found
from systems.petpro.auth.rules import DESCRIPTIONS, PERMISSIONS, ROLES
from systems.petpro.auth.tables import Permission, Role, RolePermission
from systems.petpro.bodies import invalid


async def ensure_roles(tx: Tx) -> None:
    """Make the fixed roles and permissions where they are missing: a fresh database has none.

    Whoever reads roles or permissions calls this before; so there is no step to forget between a new database and the
    first user. Their ids follow from their names, and two processes that do it at once make the same rows.
    """
    if await tx.find(Role, Role.name == "admin") is not None:
        return
    now = tx.now()
    await tx.insert_new(Permission, [_row("permission", name, None, now) for name in PERMISSIONS], key=["name"])
    roles = [_row("role", name, text, now) | {"updated_at": now} for name, text in DESCRIPTIONS.items()]
    await tx.insert_new(Role, roles, key=["name"])
    given = [(role, permission) for role, permissions in ROLES.items() for permission in permissions]
    grants = [
        {
            "id": _id("grant", f"{role}:{permission}"),
            "role_id": _id("role", role),
            "permission_id": _id("permission", permission),
            "created_at": now,
        }
        for role, permission in given
    ]
    await tx.insert_new(RolePermission, grants, key=["role_id", "permission_id"])


def _row(kind: str, name: str, description: str | None, now: datetime) -> dict[str, Any]:
    return {"id": _id(kind, name), "name": name, "description": description, "created_at": now}


def _id(kind: str, name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"petpro:{kind}:{name}")


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
