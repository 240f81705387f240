"""What a service answers over HTTP, as data; `http` makes it real."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from freehold.model.access import Access
from freehold.model.errors import DeclarationError

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Idempotency = Literal["required", "optional", "none"]
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One declared route.

    `access` None is a check error, and the route then refuses everybody. `lean` routes skip FastAPI: a body, caller,
    path parameters and headers, nothing else. A GET route reads in a read-only transaction unless `writes`. `invalid`
    maps a field of the request to the code of the problem when it is invalid, and `*` to the code for all others.
    """

    method: Method
    path: str
    handler: Callable[..., Any]
    access: Access | None
    status_code: int = 200
    idempotency: Idempotency = "none"
    lean: bool = False
    writes: bool = True
    max_body: int = MEBIBYTE
    errors: tuple[int, ...] = ()
    invalid: Mapping[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def internal(self) -> bool:
        """Internal routes have no public prefix and never pass the gateway."""
        return self.access is not None and self.access.kind == "internal"


@dataclass(frozen=True, slots=True)
class Resource:
    """List, get, create, update and delete of one table, declared instead of written.

    Args:
        table: the mapped class. Its primary key is `id`.
        path: the collection's path; one row is at `path/{id}`.
        read, write: who may list and get, and who may create, update and delete.
        create, update: pydantic models of the bodies; made from the table's columns when None.
        shown: pydantic model of a row in answers; made from the table's columns when None.
        filters: columns that a list can be narrowed by, as query parameters of the same name.
        order_by: the column that lists are sorted by, newest or smallest first as `descending` says; ties by `id`.
        soft_delete: name of the timestamp column that marks a row as deleted; without it rows are deleted.
        created, updated, deleted: make the event to publish from the row; None publishes nothing.
        defaults: called with the new row and the caller before the insert, e.g. to set the tenant.
        only: the operations wanted.
        conflict: the code of the 409 when a unique key is taken.
    """

    table: type[Any]
    path: str
    read: Access
    write: Access
    create: type[Any] | None = None
    update: type[Any] | None = None
    shown: type[Any] | None = None
    filters: tuple[str, ...] = ()
    order_by: str = "id"
    descending: bool = False
    soft_delete: str | None = None
    created: Callable[[Any], Any] | None = None
    updated: Callable[[Any], Any] | None = None
    deleted: Callable[[Any], Any] | None = None
    defaults: Callable[[Any, Any], None] | None = None
    only: tuple[Literal["list", "get", "create", "update", "delete"], ...] = (
        "list",
        "get",
        "create",
        "update",
        "delete",
    )
    conflict: str = "CONFLICT"

    def __post_init__(self) -> None:
        columns = self.table.__table__.columns.keys()
        for name in (*self.filters, self.order_by, *filter(None, [self.soft_delete])):
            if name not in columns:
                raise DeclarationError(
                    f"resource {self.path}",
                    f"{name!r} is not a column of {self.table.__tablename__}",
                    f"Use one of: {columns}",
                )

    def operations(self) -> list[tuple[str, Method, str, Access]]:
        """(operation, method, path, access) of each route it stands for."""
        one = f"{self.path}/{{id}}"
        every: dict[str, tuple[Method, str, Access]] = {
            "list": ("GET", self.path, self.read),
            "get": ("GET", one, self.read),
            "create": ("POST", self.path, self.write),
            "update": ("PUT", one, self.write),
            "delete": ("DELETE", one, self.write),
        }
        return [(name, *every[name]) for name in self.only]
