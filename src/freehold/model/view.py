"""A materialised view: a table of this service that mirrors what others own, kept from their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from freehold.model.errors import DeclarationError
from freehold.model.messages import Event, Query

E = TypeVar("E", bound=Event)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What an event does to a view's rows.

    Args:
        values: columns to set. With the view's key among them, the row is inserted where it is missing.
        version: the moment the values were true; a row with a later one is left alone.
        where: which rows, by column, when the event does not name the key (a renamed parent touches many rows).
    """

    values: Row
    version: datetime
    where: Row | None = None


class View:
    """A table kept from events, in any order and however often they come.

        tenants = View("tenant_directory", table=TenantDirectory, key="tenant_id", version="version_at")

        @tenants.on(TenantCreated)
        def created(event: TenantCreated) -> Change: ...

    Args:
        name: the view's name; its table's name.
        table: the mapped class, one of the service's own tables.
        key: the column that finds a row, or several: `("user_id", "event_id")`. They are the table's primary key.
        version: the timestamp column that decides between older and newer.
        rebuild: a query, with `cursor` and `limit` among its fields, whose answer has `data` (rows by column name,
            each with the version) and `next_cursor`: the owner's paged snapshot.
    """

    def __init__(
        self,
        name: str,
        *,
        table: type[Any],
        key: str | tuple[str, ...],
        version: str = "version_at",
        rebuild: type[Query[Any]] | None = None,
    ) -> None:
        columns = table.__table__.columns.keys()
        keys = (key,) if isinstance(key, str) else tuple(key)
        for column in (*keys, version):
            if column not in columns:
                raise DeclarationError(
                    f"view {name}",
                    f"{column!r} is not a column of {table.__tablename__}",
                    f"Use one of: {', '.join(columns)}",
                )
        primary = [column.name for column in table.__table__.primary_key]
        if sorted(keys) != sorted(primary):
            raise DeclarationError(
                f"view {name}",
                f"its key is {', '.join(keys) or 'empty'}, not the primary key of {table.__tablename__}",
                f"Give key={primary[0]!r}" if len(primary) == 1 else f"Give key={tuple(primary)}",
            )
        self.name = name
        self.table = table
        self.key = keys
        self.version = version
        self.rebuild = rebuild
        self.sources: dict[type[Event], Callable[[Any], Change | None]] = {}

    def on(self, *events: type[Event]) -> Callable[[Callable[[Any], Change | None]], Callable[[Any], Change | None]]:
        """The function says what these events change in the view; it is pure."""

        def register(function: Callable[[Any], Change | None]) -> Callable[[Any], Change | None]:
            for event in events:
                if event in self.sources:
                    raise DeclarationError(
                        f"view {self.name}",
                        f"has two functions for {event.__message__.name}",
                        "Keep one for each event",
                    )
                self.sources[event] = function
            return function

        return register
