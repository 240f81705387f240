"""A derived view: a table whose rows are computed from other views of the same service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from freehold.model.errors import DeclarationError
from freehold.model.view import View

Touched = Callable[[Sequence[Any], Any], Awaitable[Iterable[Any]]]
Computed = Callable[[Sequence[Any], Any], Awaitable[Iterable[Mapping[str, Any]]]]


class Derived:
    """A table that is a function of views: sums, lists and names put together. Nothing is ever counted up or down.

        sales = Derived("vendor_sales", table=VendorSales, key="vendor_id", updated="updated_at")

        @sales.follows(items)
        async def vendors_of(items: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
            return await tx.scalars(select(Item.vendor_id).where(Item.item_id.in_(items)))

        @sales.computes
        async def sales_of(vendors: Sequence[UUID], tx: Tx) -> list[dict[str, Any]]: ...

    Whatever changes a row of `items` computes the rows anew that follow from it, in the same transaction. So they hold
    however often and in whatever order events come.

    Args:
        name: the view's name; its table's name.
        table: the mapped class, one of the service's own tables.
        key: the column that finds a row: the table's primary key.
        updated: a timestamp column that is set when a row changes, and that nobody computes.
    """

    def __init__(self, name: str, *, table: type[Any], key: str, updated: str | None = None) -> None:
        columns = table.__table__.columns.keys()
        primary = [column.name for column in table.__table__.primary_key]
        if primary != [key]:
            raise DeclarationError(
                f"view {name}",
                f"its key is {key}, and the primary key of {table.__tablename__} {', '.join(primary)}",
                "Use the one column of the primary key",
            )
        if updated is not None and updated not in columns:
            raise DeclarationError(f"view {name}", f"{updated!r} is no column", f"Use one of: {', '.join(columns)}")
        self.name = name
        self.table = table
        self.key = key
        self.updated = updated
        self.followed: dict[View, Touched] = {}
        self.compute: Computed | None = None

    def follows(self, view: View) -> Callable[[Touched], Touched]:
        """The function says which keys follow from rows of the view, given the rows' keys and the transaction.

        A key of the view is one value, or a tuple where it has several columns.
        """

        def register(function: Touched) -> Touched:
            if view in self.followed:
                raise DeclarationError(f"view {self.name}", f"follows {view.name} twice", "Keep one function")
            self.followed[view] = function
            return function

        return register

    def computes(self, function: Computed) -> Computed:
        """The function makes the rows with these keys, by column name, all with the same columns; none for a key that
        has no row. It reads columns, not objects, and changes nothing.
        """
        if self.compute is not None:
            raise DeclarationError(f"view {self.name}", "is computed by two functions", "Keep one")
        self.compute = function
        return function
