"""Who may call a route, and who is calling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import InstrumentedAttribute

from freehold.model.errors import DeclarationError

Kind = Literal["public", "user", "owner", "role", "permission", "internal", "signature"]


@dataclass(frozen=True, slots=True)
class User:
    """The person (or the service's robot) that a request speaks for, as their token says.

    `id` has the type of the system's user ids: UUID, int or str.
    """

    id: Any
    email: str | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    tenant_id: UUID | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def has_role(self, *names: str) -> bool:
        """Whether the user has at least one of these roles."""
        return not self.roles.isdisjoint(names)

    def may(self, permission: str) -> bool:
        """Whether the user has the permission, by name or by a `group.*` wildcard."""
        group = permission.rpartition(".")[0]
        return permission in self.permissions or f"{group}.*" in self.permissions


@dataclass(frozen=True, slots=True)
class Access:
    """A route's rule: `public`, `user`, `owner(column)`, `role(…)`, `permission(…)`, `internal` or `signature`."""

    kind: Kind
    names: tuple[str, ...] = ()
    column: InstrumentedAttribute[Any] | None = None
    param: str = "id"
    roles: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(self.names)}" if self.names else self.kind


public = Access("public")
"""Anybody; a valid token is still read, an invalid one still refused."""

user = Access("user")
"""Anybody with a valid access token."""

internal = Access("internal")
"""Another service with its service token. Never passes the gateway."""

signature = Access("signature")
"""A signed request (a webhook); the route verifies the signature itself, on the raw body."""


def role(*names: str) -> Access:
    """Only users with at least one of these roles."""
    if not names:
        raise DeclarationError("role()", "names no role", "Name at least one, e.g. role('admin')")
    return Access("role", names)


def permission(name: str) -> Access:
    """Only users with this permission."""
    return Access("permission", (name,))


def owner(
    column: InstrumentedAttribute[Any] | None = None, *, param: str = "id", roles: tuple[str, ...] = ()
) -> Access:
    """Only the user that a row belongs to, or one of `roles`.

    Args:
        column: the column with the owner's id. The toolkit loads the row whose primary key is the path parameter
            `param`:
            404 where there is none, 403 where it is somebody else's. None: the path parameter itself is the owner's id.
        param: the path parameter.
        roles: whoever has one of these passes without owning the row.
    """
    return Access("owner", (), column, param, roles)
