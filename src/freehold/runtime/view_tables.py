"""What a view needs beside its own table: a copy to rebuild into, the ages of columns, changes of rows to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Boolean, Column, Enum, MetaData, String, Table

from freehold.model.columns import JsonDocument, UtcDateTime, as_utc
from freehold.model.type_names import describe_type
from freehold.model.view import View

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_PYTHON: Final[dict[str, Any]] = {
    "uuid": UUID, "int": int, "bigint": int, "smallint": int, "bool": bool, "float": float, "decimal": Decimal,
    "timestamptz": datetime, "date": date, "time": time, "timetz": time,
}  # fmt: skip


@dataclass(frozen=True)
class ViewTables:
    """A view's tables.

    - `live` is the service's own, which everybody reads.
    - `shadow` is a copy that a rebuild fills.
    - `ages` has a row where columns are older than their row, in either of the two: a row's version is that of its
      newest column.
      It finds its row by `ages_key`, which are the key's columns in their order.
    - `scopes` remembers the newest changes of rows found by other columns than the key, for rows that come later.
    """

    live: Table
    shadow: Table
    ages: Table
    scopes: Table
    key: tuple[str, ...]
    ages_key: tuple[str, ...]
    version: str
    numbered: bool
    synced: str | None

    @classmethod
    def of(cls, view: View, metadata: MetaData) -> ViewTables:
        """Find the tables in the toolkit's metadata, or put them there."""
        live: Table = view.table.__table__
        name = live.name
        if f"{name}__rebuild" not in metadata.tables:
            _define(view, live, metadata)
        found = metadata.tables
        return cls(
            live,
            found[f"{name}__rebuild"],
            found[f"{name}__ages"],
            found[f"{name}__scopes"],
            view.key,
            _ages_key(view.key),
            view.version,
            view.numbered,
            view.synced,
        )

    @property
    def columns(self) -> list[str]:
        """What changes set: every column but the key's, the version, and when the row was synced."""
        others = {*self.key, self.version, self.synced}
        return [column.name for column in self.live.columns if column.name not in others]

    @property
    def required(self) -> set[str]:
        """Columns without which a row cannot be inserted."""
        return {
            name
            for name in self.columns
            if not self.live.c[name].nullable
            and self.live.c[name].default is None
            and self.live.c[name].server_default is None
        }

    def moment(self, version: Any) -> datetime:
        """A version as what orders changes: a moment is one already, a number counts microseconds."""
        return EPOCH + version * MICROSECOND if self.numbered else as_utc(version)

    def stored(self, moment: datetime) -> datetime | int:
        """What `moment` was made of, for the version column."""
        return (moment - EPOCH) // MICROSECOND if self.numbered else moment

    def adapters(self) -> dict[str, TypeAdapter[Any]]:
        """By column, what reads a value that may have travelled as JSON."""
        return {
            column.name: TypeAdapter(_PYTHON.get(describe_type(column.type)[0].partition("(")[0], Any) | None)
            for column in self.live.columns
        }


def _define(view: View, live: Table, metadata: MetaData) -> None:
    Table(f"{live.name}__rebuild", metadata, *(_copy(column, view.key) for column in live.columns))
    Table(
        f"{live.name}__ages",
        metadata,
        Column("shadow", Boolean, primary_key=True),
        *(
            Column(name, live.c[column].type, primary_key=True, autoincrement=False)
            for name, column in zip(_ages_key(view.key), view.key, strict=True)
        ),
        Column("ages", JsonDocument, nullable=False),
    )
    Table(
        f"{live.name}__scopes",
        metadata,
        Column("scope__id", String(64), primary_key=True),
        Column("scope__versions", JsonDocument, nullable=False),
        Column("scope__at", UtcDateTime(), nullable=False, index=True),
        *(_copy(column, ()) for column in live.columns),
    )


def _ages_key(key: tuple[str, ...]) -> tuple[str, ...]:
    """Names beside which `shadow` and `ages` are none of the view's columns."""
    return ("key",) if len(key) == 1 else tuple(f"key__{column}" for column in key)


def _copy(column: Column[Any], key: tuple[str, ...]) -> Column[Any]:
    """The column without its constraints: what is not complete yet may lie in a copy."""
    kind = column.type
    if isinstance(kind, Enum):
        kind = kind.adapt(Enum, create_constraint=False)  # type: ignore[no-untyped-call]
    is_key = column.name in key
    return Column(column.name, kind, primary_key=is_key, nullable=not is_key, autoincrement=False)
