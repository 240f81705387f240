"""A materialised view: a table of this service that mirrors what others own, kept from their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from freehold.model.errors import DeclarationError
from freehold.model.messages import Event, Query
from freehold.model.type_names import describe_type

E = TypeVar("E", bound=Event)
Row = Mapping[str, Any]
PAGE: Final = 500
GRACE: Final = timedelta(minutes=1)
TIMESTAMP, INTEGERS = "timestamptz", ("int", "bigint", "smallint")


@dataclass(frozen=True, slots=True)
class Change:
    """What an event does to a view's rows.

    Args:
        values: columns to set. With the view's key among them, the row is inserted where it is missing.
        version: of which version of their owner the values are, in the kind of the view's version column: the moment
            they were true, or a number that the owner counts up. What is newer already is left alone.
        where: which rows, by column, when the event does not name the key (a renamed parent touches many rows).
    """

    values: Row
    version: datetime | int
    where: Row | None = None


Changes = Change | Sequence[Change] | None


@dataclass(frozen=True, slots=True)
class Drift:
    """What a reconciliation found.

    Args:
        checked: rows that the owner told, or that were computed anew.
        repaired: by check, rows that were put right: `missing` ones, those `behind` their owner, those that are of the
            owner's version and yet `different`, and `surplus` ones, which the owner does not have.
    """

    checked: int = 0
    repaired: Mapping[str, int] = field(default_factory=dict)


class View:
    """A table kept from events, in any order and however often they come.

        tenants = View("tenant_directory", table=TenantDirectory, key="tenant_id", version="version_at")

        @tenants.on(TenantCreated)
        def created(event: TenantCreated) -> Change: ...

    Where the owner's snapshot is not told by column name, or there are several owners, a function reads each:

        @places.snapshot(ListCities)
        def city(row: CityRow) -> Change: ...

    Args:
        name: the view's name; its table's name.
        table: the mapped class, one of the service's own tables.
        key: the column that finds a row, or several: `("user_id", "event_id")`. They are the table's primary key.
        version: the column that decides between older and newer: a timestamp, or an integer.
        rebuild: a query, with `cursor` and `limit` among its fields, whose answer has `data` (rows by column name,
            each with the version) and `next_cursor`: the owner's paged snapshot.
        one: a query for a single row, as one of `rebuild`, whose only required field is the key; 404 for none.
        synced: a timestamp column that is set to the time at which the row was last applied, or found to be right.
    """

    def __init__(
        self,
        name: str,
        *,
        table: type[Any],
        key: str | tuple[str, ...],
        version: str = "version_at",
        rebuild: type[Query[Any]] | None = None,
        one: type[Query[Any]] | None = None,
        synced: str | None = None,
    ) -> None:
        self.name = name
        self.table = table
        self.key = (key,) if isinstance(key, str) else tuple(key)
        self.version = version
        self.snapshots: dict[type[Query[Any]], Callable[[Any], Changes] | None] = {}
        if rebuild is not None:
            self.snapshots[rebuild] = None
        self.one = one
        self.synced = synced
        self.sources: dict[type[Event], Callable[[Any], Changes]] = {}
        self._check_columns()
        self._check_one()

    def _check_columns(self) -> None:
        where, columns = f"view {self.name}", self.table.__table__.columns
        told = (self.version,) if self.synced is None else (self.version, self.synced)
        for column in (*self.key, *told):
            if column not in columns:
                raise DeclarationError(
                    where,
                    f"{column!r} is not a column of {self.table.__tablename__}",
                    f"Use one of: {', '.join(columns.keys())}",
                )
        primary = [column.name for column in self.table.__table__.primary_key]
        if sorted(self.key) != sorted(primary):
            raise DeclarationError(
                where,
                f"its key is {', '.join(self.key) or 'empty'}, not the primary key of {self.table.__tablename__}",
                f"Give key={primary[0]!r}" if len(primary) == 1 else f"Give key={tuple(primary)}",
            )
        kinds = {column: describe_type(columns[column].type)[0] for column in told}
        if kinds[self.version] not in (TIMESTAMP, *INTEGERS):
            raise DeclarationError(
                where, f"its version {self.version} is a {kinds[self.version]}", "Use a timestamp or an integer column"
            )
        if self.synced is not None and (kinds[self.synced] != TIMESTAMP or self.synced in (*self.key, self.version)):
            raise DeclarationError(
                where,
                f"synced={self.synced!r} cannot hold a time of its own",
                "Use a timestamp column kept for that",
            )

    @property
    def numbered(self) -> bool:
        """Whether its versions are integers."""
        return describe_type(self.table.__table__.columns[self.version].type)[0] in INTEGERS

    def _check_one(self) -> None:
        if self.one is None:
            return
        required = [name for name, field in self.one.model_fields.items() if field.is_required()]
        if len(self.key) != 1 or required != list(self.key):
            raise DeclarationError(
                f"view {self.name}, key {', '.join(self.key)}",
                f"one={self.one.__name__} asks for {', '.join(required) or 'nothing'}",
                "Give a key of one column, and a query whose only required field is named like it",
            )

    def on(self, *events: type[Event]) -> Callable[[Callable[[Any], Changes]], Callable[[Any], Changes]]:
        """The function says what these events change in the view, one row or several; it is pure."""

        def register(function: Callable[[Any], Changes]) -> Callable[[Any], Changes]:
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

    def snapshot(self, query: type[Query[Any]]) -> Callable[[Callable[[Any], Changes]], Callable[[Any], Changes]]:
        """The function says what a row of this paged snapshot is in the view; a view may have several snapshots.

        Args:
            query: as for `rebuild`, with rows of any shape in `data`.
        """

        def register(function: Callable[[Any], Changes]) -> Callable[[Any], Changes]:
            if query in self.snapshots:
                raise DeclarationError(
                    f"view {self.name}", f"reads {query.__name__} twice", "Keep one function for each snapshot"
                )
            self.snapshots[query] = function
            return function

        return register
