"""Lists a page at a time: by cursor, or by page number or offset where a system's clients count pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, Self, TypeVar

from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError
from sqlalchemy import Select, func, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from freehold.model.camel import CamelModel
from freehold.model.problem import Problem
from freehold.runtime.transaction import Tx

T = TypeVar("T")
S = TypeVar("S", bound=Select[*tuple[Any, ...]])


class PageMeta(BaseModel):
    """Where a numbered page lies."""

    page: int
    per_page: int
    total: int
    total_pages: int


After = Annotated[str | None, Field(validation_alias=AliasChoices("after", "cursor"), serialization_alias="after")]
"""The cursor of a query that says `after` on the wire: `cursor: After = None`."""


class PageQuery(Protocol):
    """A query for a page: rows after `cursor`, `limit` of them at most."""

    cursor: str | None
    limit: int


class Page(BaseModel, Generic[T]):
    """A page of what an owner has; `next_cursor` is None on the last one.

    The answer to a query of siblings, who follow it to the end: `class Snapshot(Query[Page[Row]], path=…)`.
    """

    data: list[T]
    next_cursor: str | None = None

    @classmethod
    def of(cls, rows: list[T], query: PageQuery, key: str) -> Self:
        """The rows of `page_of`; `key` is their attribute that has its column's value."""
        full = rows and len(rows) == query.limit
        return cls(data=rows, next_cursor=str(getattr(rows[-1], key)) if full else None)


class Listing(Page[T], Generic[T]):
    """A page of a list for clients; `meta` comes unless a cursor was followed."""

    meta: PageMeta | None = None


class CamelMeta(CamelModel):
    """Where a numbered page lies, to clients that speak camelCase."""

    page: int
    limit: int
    total: int
    total_pages: int


class CamelListing(CamelModel, Generic[T]):
    """A page of a list in camelCase: `return CamelListing.of(await list_rows(…))`."""

    data: list[T]
    next_cursor: str | None = None
    meta: CamelMeta | None = None

    @classmethod
    def of(cls, listing: Listing[T]) -> CamelListing[T]:
        """The same page."""
        shown = CamelListing[T](data=listing.data, next_cursor=listing.next_cursor)
        if (meta := listing.meta) is not None:
            shown.meta = CamelMeta(page=meta.page, limit=meta.per_page, total=meta.total, total_pages=meta.total_pages)
        return shown


class Paging(BaseModel):
    """Query parameters of a list: `cursor`, else `page` (from 1) or `offset`. Add a list's filters in a subclass."""

    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=500)
    page: int | None = Field(default=None, ge=1, le=1_000_000)
    offset: int | None = Field(default=None, ge=0, le=100_000_000)


def page_of(statement: S, query: PageQuery, by: InstrumentedAttribute[Any]) -> S:
    """The statement's rows after the query's cursor, as many as it asks for, in the order of a unique column.

    Raises Problem 400 for a cursor that no page gave.
    """
    page = statement.order_by(by).limit(query.limit)
    if query.cursor is None:
        return page
    try:
        return page.where(by > TypeAdapter(by.type.python_type).validate_strings(query.cursor))
    except ValidationError:
        raise _foreign() from None


async def list_rows(
    tx: Tx,
    statement: Select[Any],
    paging: Paging,
    *,
    order_by: InstrumentedAttribute[Any],
    descending: bool = False,
    show: Callable[[Any], T],
) -> Listing[T]:
    """One page of the rows that the statement selects.

    Args:
        statement: selects one mapped class whose primary key is `id`, not ordered.
        order_by: a column of it that is never NULL; ties are broken by `id`, in the same direction.
        show: makes an item of the answer from a row.

    Raises Problem 400 for a cursor that this list did not give.
    """
    key = tuple_(order_by, order_by.class_.id)
    directions = (column.desc() if descending else column for column in (order_by, order_by.class_.id))
    query = statement.order_by(*directions).limit(paging.limit + 1)
    meta = None
    if paging.cursor is not None:
        after = _read_cursor(paging.cursor, order_by)
        query = query.where(key < after if descending else key > after)
    else:
        offset = paging.offset if paging.page is None else (paging.page - 1) * paging.limit
        query = query.offset(offset or 0)
        total = await tx.scalar(statement.with_only_columns(func.count(), maintain_column_froms=True))
        page = (offset or 0) // paging.limit + 1
        meta = PageMeta(page=page, per_page=paging.limit, total=total, total_pages=-(-total // paging.limit))
    rows = (await tx.scalars(query)).all()
    shown = rows[: paging.limit]
    more = len(rows) > paging.limit
    next_cursor = _write_cursor(shown[-1], order_by) if more else None
    return Listing(data=[show(row) for row in shown], next_cursor=next_cursor, meta=meta)


def _write_cursor(row: Any, order_by: InstrumentedAttribute[Any]) -> str:
    value = getattr(row, order_by.key)
    text = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([text, str(row.id)], default=str).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, order_by: InstrumentedAttribute[Any]) -> Any:
    columns = (order_by, order_by.class_.id)
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        first, second = (
            TypeAdapter(column.type.python_type).validate_python(value)
            for column, value in zip(columns, values, strict=True)
        )
    except (binascii.Error, ValueError, TypeError, ValidationError):
        raise _foreign() from None
    return tuple_(literal(first, order_by.type), literal(second, order_by.class_.id.type))


def _foreign() -> Problem:
    return Problem(400, "BAD_REQUEST", "cursor: it is not one that this list gave")
