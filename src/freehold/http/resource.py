"""A declared resource as the routes it stands for."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, create_model
from sqlalchemy import Select, Uuid, select
from sqlalchemy.exc import IntegrityError

from freehold.http.columns import create_body, field_type, shown_model, update_body
from freehold.http.matching import specificity
from freehold.model.access import Access
from freehold.model.ids import uuid7
from freehold.model.problem import Problem, not_found
from freehold.model.routes import Resource, Route
from freehold.model.service import Service
from freehold.model.system import System
from freehold.runtime.paging import Listing, Paging, list_rows
from freehold.runtime.transaction import Tx

_TIMES = ("created_at", "updated_at")
Handler = Callable[..., Awaitable[Any]]


def service_routes(service: Service, system: System) -> list[Route]:
    """Every route that a service declares, those of its resources included; more specific paths first."""
    made = (route for resource in service.resources for route in resource_routes(resource, system))
    return sorted([*service.routes, *made], key=lambda route: specificity(route.path))


def resource_routes(resource: Resource, system: System) -> list[Route]:
    """The list, get, create, update and delete routes of a resource."""
    rows = _Rows(resource, system)
    makers: dict[str, Callable[[], Handler]] = {
        "list": rows.lister,
        "get": rows.getter,
        "create": rows.creator,
        "update": rows.updater,
        "delete": rows.deleter,
    }
    return [
        Route(
            method=method,
            path=path,
            handler=makers[operation](),
            access=_without_row(access) if operation in ("list", "create") else access,
            status_code=201 if operation == "create" else 200,
            idempotency="optional" if operation == "create" else "none",
            writes=operation not in ("list", "get"),
            errors=(409,) if operation in ("create", "update", "delete") else (),
            options={"tags": [resource.table.__tablename__]},
        )
        for operation, method, path, access in resource.operations()
    ]


class _Rows:
    """What the five operations do with the rows of one table."""

    def __init__(self, resource: Resource, system: System) -> None:
        self._resource = resource
        self._table = resource.table
        self._invalid_status = system.invalid_status
        self._tenant = system.tenant_column
        self._columns = set(self._table.__table__.columns.keys())
        self._key_type: Any = self._table.__table__.columns["id"].type.python_type
        hidden = [resource.soft_delete] if resource.soft_delete else []
        managed = ["id", *_TIMES, *hidden, *([self._tenant] if self._tenant else [])]
        self._shown: Any = resource.shown or shown_model(self._table, hidden)
        self._create: Any = resource.create or create_body(self._table, managed)
        self._update: Any = resource.update or update_body(self._table, managed)

    # --- the operations -----------------------------------------------------------------------------------------------

    def lister(self) -> Handler:
        async def list_page(query: Paging, tx: Tx) -> Listing[Any]:
            statement = self._visible(tx)
            for name in self._resource.filters:
                value = getattr(query, name)
                if value is not None:
                    statement = statement.where(getattr(self._table, name) == value)
            return await list_rows(
                tx,
                statement,
                query,
                order_by=getattr(self._table, self._resource.order_by),
                descending=self._resource.descending,
                show=lambda row: self._shown.model_validate(row, from_attributes=True),
            )

        columns = self._table.__table__.columns
        filters: Any = {name: (field_type(columns[name]) | None, None) for name in self._resource.filters}
        query = create_model(f"{self._table.__name__}List", __base__=Paging, **filters)
        listing: Any = Listing
        return self._typed(list_page, "list", {"query": Annotated[query, Query()]}, listing[self._shown])

    def getter(self) -> Handler:
        async def get_row(id: Any, tx: Tx) -> Any:
            return await self._found(tx, id)

        return self._typed(get_row, "get", {"id": self._key_type})

    def creator(self) -> Handler:
        async def create_row(body: BaseModel, tx: Tx) -> Any:
            row = self._table(**body.model_dump(exclude_unset=True))
            self._fill(row, tx)
            if self._resource.defaults is not None:
                self._resource.defaults(row, tx.user)
            tx.add(row)
            await self._flush(tx, self._refuse_values)
            self._tell(tx, self._resource.created, row)
            return row

        return self._typed(create_row, "create", {"body": self._create})

    def updater(self) -> Handler:
        async def update_row(id: Any, body: BaseModel, tx: Tx) -> Any:
            changes = body.model_dump(exclude_unset=True)
            if not changes:
                raise Problem(self._invalid_status, "INVALID_UPDATE", "Give at least one field to change")
            row = await self._found(tx, id, lock=True)
            for name, value in changes.items():
                setattr(row, name, value)
            if "updated_at" in self._columns:
                row.updated_at = tx.now()
            await self._flush(tx, self._refuse_values)
            self._tell(tx, self._resource.updated, row)
            return row

        return self._typed(update_row, "update", {"id": self._key_type, "body": self._update})

    def deleter(self) -> Handler:
        async def delete_row(id: Any, tx: Tx) -> Any:
            row = await self._found(tx, id, lock=True)
            if self._resource.soft_delete is not None:
                setattr(row, self._resource.soft_delete, tx.now())
            else:
                await tx.delete(row)
            await self._flush(tx, self._refuse_delete)
            self._tell(tx, self._resource.deleted, row)
            return row

        return self._typed(delete_row, "delete", {"id": self._key_type})

    # --- what they share ----------------------------------------------------------------------------------------------

    def _visible(self, tx: Tx) -> Select[Any]:
        statement = select(self._table)
        if self._resource.soft_delete is not None:
            statement = statement.where(getattr(self._table, self._resource.soft_delete).is_(None))
        access, user = self._resource.read, tx.user
        if access.kind == "owner" and access.column is not None and user and not user.has_role(*access.roles):
            statement = statement.where(access.column == user.id)
        return statement

    async def _found(self, tx: Tx, key: Any, *, lock: bool = False) -> Any:
        row = await tx.get(self._table, key, lock=lock)
        deleted = self._resource.soft_delete is not None and getattr(row, self._resource.soft_delete, None) is not None
        if row is None or deleted:
            raise not_found(self._table.__name__)
        return row

    def _fill(self, row: Any, tx: Tx) -> None:
        """Set what a client does not: the key, the times, the tenant."""
        if row.id is None and isinstance(self._table.__table__.columns["id"].type, Uuid):
            row.id = uuid7()
        for name in _TIMES:
            if name in self._columns:
                setattr(row, name, tx.now())
        if self._tenant is not None and self._tenant in self._columns:
            setattr(row, self._tenant, tx.context.tenant_id or (tx.user.tenant_id if tx.user else None))

    async def _flush(self, tx: Tx, refusal: Callable[[], Problem]) -> None:
        try:
            await tx.flush()
        except IntegrityError as error:
            if tx.is_duplicate(error):
                name = self._table.__name__
                raise Problem(409, self._resource.conflict, f"There is such a {name} already") from error
            raise refusal() from error

    def _refuse_values(self) -> Problem:
        return Problem(self._invalid_status, "VALIDATION_ERROR", "A value breaks a rule of the table")

    def _refuse_delete(self) -> Problem:
        return Problem(409, "IN_USE", f"Something still refers to this {self._table.__name__}")

    @staticmethod
    def _tell(tx: Tx, make: Callable[[Any], Any] | None, row: Any) -> None:
        event = None if make is None else make(row)
        if event is not None:
            tx.publish(event)

    def _typed(self, handler: Handler, operation: str, given: dict[str, Any], answer: Any = None) -> Handler:
        """Give the handler the types that it has for this table."""
        types = {**given, "tx": Tx}
        handler.__name__ = f"{operation}_{self._table.__tablename__}"
        handler.__annotations__ = {**types, "return": answer or self._shown}
        handler.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in types.items()]
        )
        return handler


def _without_row(access: Access) -> Access:
    """The rule of lists and creations, where there is no row yet to ask for its owner."""
    return replace(access, kind="user", column=None) if access.kind == "owner" else access
