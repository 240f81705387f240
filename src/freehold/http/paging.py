"""Lists in pages: by key (`cursor`), which costs the same however far one reads, or by number (`page`)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement

from freehold.model.problem import Problem
from freehold.runtime.transaction import Tx

T = TypeVar("T")
U = TypeVar("U")
LARGEST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Paging:
    """What a client asks for: `limit` rows after `cursor`, or page `page` of so many.

    As a dependency of a hand-written route: `paging: Annotated[Paging, Depends()]`.
    """

    limit: Annotated[int, Query(ge=1, le=100, description="Rows at most")] = 20
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before")] = None
    page: Annotated[int | None, Query(ge=1, le=LARGEST_PAGE, description="Page number, from 1; adds `meta`")] = None


class PageMeta(BaseModel):
    """Where a numbered page stands."""

    page: int
    limit: int
    total: int
    total_pages: int


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    data: list[T]
    next_cursor: str | None = None
    meta: PageMeta | None = None


Order = Sequence[tuple[InstrumentedAttribute[Any], bool]]


async def paginate(
    tx: Tx,
    statement: Select[Any],
    *,
    order_by: InstrumentedAttribute[Any] | Sequence[InstrumentedAttribute[Any]],
    paging: Paging,
    descending: bool = False,
    shown: Callable[[Any], U] = lambda row: row,
) -> Page[U]:
    """One page of the rows that the statement selects.

    Args:
        statement: a select of one mapped class, without an order.
        order_by: not-null columns to sort by; the last one, or all together, must be unique for pages to fit seamlessly.
        paging: what the client asked for.
        descending: largest first.
        shown: makes what is answered from a row.

    Raises:
        Problem: 400, when the cursor is not one of ours.
    """
    columns = [order_by] if isinstance(order_by, InstrumentedAttribute) else list(order_by)
    ordered = statement.order_by(*(column.desc() if descending else column.asc() for column in columns))
    if paging.page is not None:
        return await _numbered(tx, statement, ordered, paging.page, paging.limit, shown)
    if paging.cursor is not None:
        ordered = ordered.where(_after(columns, read_cursor(paging.cursor, columns), descending))
    rows = list(await tx.scalars(ordered.limit(paging.limit + 1)))
    more = len(rows) > paging.limit
    rows = rows[: paging.limit]
    cursor = write_cursor([getattr(rows[-1], column.key) for column in columns]) if more else None
    return Page[Any](data=[shown(row) for row in rows], next_cursor=cursor)


async def _numbered(
    tx: Tx, statement: Select[Any], ordered: Select[Any], page: int, limit: int, shown: Callable[[Any], U]
) -> Page[U]:
    total = await tx.scalar(select(func.count()).select_from(statement.subquery()))
    rows = await tx.scalars(ordered.limit(limit).offset((page - 1) * limit))
    meta = PageMeta(page=page, limit=limit, total=total, total_pages=-(-total // limit))
    return Page[Any](data=[shown(row) for row in rows], meta=meta)


def write_cursor(values: Sequence[Any]) -> str:
    """The sort key of the last row, as opaque text."""
    return base64.urlsafe_b64encode(to_json(values)).rstrip(b"=").decode()


def read_cursor(cursor: str, columns: Sequence[InstrumentedAttribute[Any]]) -> list[Any]:
    """The sort key in a cursor. Raises Problem 400 when it is not one for these columns."""
    try:
        values = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(columns):
            raise ValueError("not a sort key")
        kinds = [column.type.python_type for column in columns]
        # From its JSON text, since that is what turns a string back into a time, a UUID or a decimal.
        return [TypeAdapter(kind).validate_json(to_json(value)) for kind, value in zip(kinds, values, strict=True)]
    except (ValueError, binascii.Error, ValidationError):
        raise Problem(400, "INVALID_CURSOR", "The cursor is not one that this list gave") from None


def _after(
    columns: Sequence[InstrumentedAttribute[Any]], values: Sequence[Any], descending: bool
) -> ColumnElement[bool]:
    alternatives = []
    for at, column in enumerate(columns):
        beyond = column < values[at] if descending else column > values[at]
        alternatives.append(and_(*(columns[i] == values[i] for i in range(at)), beyond))
    return or_(*alternatives)
