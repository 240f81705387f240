"""Column types that mean the same on every engine, and aliases that serve as columns and as fields of events alike.

`Mapped[Money]` is an exact decimal column; `total: Money` in an event is the same value, checked and serialised by
Pydantic. A service's tables share one `class Base(Portable, DeclarativeBase)`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, get_args, get_origin
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    DateTime,
    Dialect,
    Enum,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    event,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import TypeResolve, mapped_column, registry
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeEngine, UserDefinedType

from freehold.model.errors import DeclarationError
from freehold.model.points import Coordinates, PointColumn

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
CENT: Final = Decimal("0.01")


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal that every engine stores, compares, sums and checks exactly: NUMERIC, or a scaled INTEGER on SQLite.

    `precision` is the number of all digits, at most 18; `scale` that of the decimals. A float, or a value with more
    decimals than `scale`, is refused.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        if not 0 <= scale <= precision <= 18 or precision == 0:
            raise DeclarationError(
                f"ExactDecimal({precision}, {scale})",
                "the precision must be 1 to 18 digits and the scale must not exceed it",
                "Choose for instance ExactDecimal(12, 2)",
            )
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale
        self._unit = Decimal(1).scaleb(-scale)

    @property
    def python_type(self) -> type[Decimal]:
        return Decimal

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        exact = self._exact(value)
        return int(exact.scaleb(self.scale)) if dialect.name == "sqlite" else exact

    def process_literal_param(self, value: Any, dialect: Dialect) -> str:
        return str(self.process_bind_param(value, dialect))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value).scaleb(-self.scale) if dialect.name == "sqlite" else Decimal(value)

    def coerce_compared_value(self, op: operators.OperatorType | None, value: Any) -> TypeEngine[Any]:
        if op is operators.mul and isinstance(value, int):
            return Integer()
        if op in (operators.mul, operators.truediv, operators.floordiv, operators.mod):
            raise TypeError(
                f"decimal({self.precision},{self.scale}): SQL rounds such a product or quotient differently on each "
                "engine. Compute it in Python and round it once"
            )
        return self

    def _exact(self, value: Any) -> Decimal:
        name = f"decimal({self.precision},{self.scale})"
        if isinstance(value, bool) or not isinstance(value, Decimal | int):
            raise TypeError(f"{name}: {type(value).__name__} {value!r} is not exact. Pass a Decimal")
        exact = Decimal(value)
        if not exact.is_finite() or exact.quantize(self._unit) != exact:
            raise ValueError(f"{name}: {value} has more than {self.scale} decimals. Round it first")
        if abs(exact.scaleb(self.scale)) >= 10**self.precision:
            raise ValueError(f"{name}: {value} has too many digits")
        return exact


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: TIMESTAMPTZ, DATETIME(6) in UTC, or text that sorts by time on SQLite.

    Results are aware, in UTC, to the microsecond; a naive time is refused.
    """

    impl = DateTime
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(27))
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        instant = as_utc(value)
        if dialect.name == "sqlite":
            return instant.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
        return instant if dialect.name == "postgresql" else instant.replace(tzinfo=None)

    def process_literal_param(self, value: Any, dialect: Dialect) -> str:
        return f"'{self.process_bind_param(value, dialect)}'"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class TimeTz(TypeDecorator[time]):
    """A time of day with its offset from UTC: TIMETZ on PostgreSQL, ISO text elsewhere (which sorts by local time)."""

    impl = String(21)
    cache_ok = True

    @property
    def python_type(self) -> type[time]:
        return time

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.TIME(timezone=True) if native else String(21))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        _require_offset(value)
        return value if dialect.name == "postgresql" else value.isoformat(timespec="microseconds")

    def process_literal_param(self, value: Any, dialect: Dialect) -> str:
        return f"'{self.process_bind_param(value, dialect)}'"

    def process_result_value(self, value: Any, dialect: Dialect) -> time | None:
        return time.fromisoformat(value) if isinstance(value, str) else value


class JsonDocument(TypeDecorator[Any]):
    """A JSON document as Python dicts and lists: JSONB on PostgreSQL. None is stored as NULL.

    A change inside the document is not noticed: assign a new one. Members come back in the order that JSONB gives them,
    shorter names first, whatever the database: an answer made from them is the same everywhere.
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.JSONB(none_as_null=True) if native else JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else _in_order(value)


def _in_order(document: Any) -> Any:
    """The document with its members in JSONB's order: by the bytes of their names, the shorter first."""
    if isinstance(document, dict):
        return {name: _in_order(document[name]) for name in sorted(document, key=_place)}
    if isinstance(document, (list, tuple)):
        return [_in_order(each) for each in document]
    return document


def _place(name: object) -> tuple[int, bytes]:
    encoded = str(name).encode(errors="surrogatepass")
    return len(encoded), encoded


class _PlainJson(UserDefinedType[str]):
    """PostgreSQL's JSON, which keeps the text as it was written, without SQLAlchemy's decoding."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


class RawJson(TypeDecorator[str]):
    """JSON that is already serialised: the `str` goes in and comes out as it is, byte for byte."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.LONGTEXT())
        return dialect.type_descriptor(_PlainJson() if dialect.name == "postgresql" else Text())


class Inet(TypeDecorator[str]):
    """An IPv4 or IPv6 address as text; anything else is refused."""

    impl = String(45)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(ip_address(value))


def as_utc(value: Any) -> datetime:
    """The same instant in UTC. Raises TypeError when it is not a datetime, ValueError when it is naive."""
    if not isinstance(value, datetime):
        raise TypeError(f"timestamptz: {type(value).__name__} {value!r} is not a datetime")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"timestamptz: {value} has no time zone. Take the time from the clock, or say tzinfo=UTC")
    return value.astimezone(UTC)


def _require_offset(value: Any) -> time:
    if not isinstance(value, time):
        raise TypeError(f"timetz: {type(value).__name__} {value!r} is not a time")
    if value.utcoffset() is None:
        raise ValueError(f"timetz: {value} has no offset from UTC. Say tzinfo=UTC or a fixed offset")
    return value


def _no_number(value: Any) -> Any:
    # Pydantic takes numbers for seconds since 1970 or since midnight: a client's mistake would become a date.
    if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"[-+.\d\s]+", value)):
        raise ValueError("write it in ISO 8601, not as a number")
    return value


def round_money(value: Decimal) -> Decimal:
    """Rounded to two decimals, half up (away from zero)."""
    return value.quantize(CENT, ROUND_HALF_UP)


def _two_decimals(value: Decimal) -> Decimal:
    return value.quantize(CENT)  # exact: more decimals were refused before


Money = Annotated[
    Decimal,
    mapped_column(ExactDecimal(12, 2)),
    Field(max_digits=12, decimal_places=2, allow_inf_nan=False),
    AfterValidator(_two_decimals),
    PlainSerializer(lambda value: f"{value:.2f}", return_type=str, when_used="json"),
]
"""An amount with two decimals; a string with both of them in JSON."""

MoneyNumber = Annotated[
    Decimal,
    Field(max_digits=12, decimal_places=2, allow_inf_nan=False),
    AfterValidator(_two_decimals),
    # Twelve digits are within what a float's shortest text gives back exactly.
    PlainSerializer(float, return_type=float, when_used="json"),
]
"""An amount with two decimals; a number in JSON, for public answers of systems that have it so."""

Percent = Annotated[
    Decimal,
    mapped_column(ExactDecimal(5, 2)),
    Field(max_digits=5, decimal_places=2, allow_inf_nan=False),
    AfterValidator(_two_decimals),
    PlainSerializer(lambda value: f"{value:.2f}", return_type=str, when_used="json"),
]
"""A rate in hundredths, up to 999.99, with two decimals; a string with both of them in JSON."""

Timestamp = Annotated[datetime, mapped_column(UtcDateTime()), BeforeValidator(_no_number), AfterValidator(as_utc)]
"""An instant in UTC; a naive one or a number is refused."""

TimeOfDay = Annotated[time, mapped_column(TimeTz()), BeforeValidator(_no_number), AfterValidator(_require_offset)]
"""A time of day with its offset from UTC."""

Point = Annotated[Coordinates, mapped_column(PointColumn())]
"""A place on Earth; `[longitude, latitude]` in JSON. Search by `within`."""


class Portable:
    """Mix into a service's base: `class Base(Portable, DeclarativeBase)`.

    The base gets a MetaData of its own with named constraints, and annotations resolve to portable types: `datetime`
    to UtcDateTime, dicts and lists to JsonDocument, a Literal or an Enum (by value) to VARCHAR with a CHECK. A bare
    `Decimal` is refused, since it does not say how many decimals it keeps.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        is_base = "metadata" not in cls.__dict__ and not hasattr(cls, "registry")
        if is_base:
            cls.metadata = MetaData(naming_convention=NAMING)  # type: ignore[attr-defined]
        super().__init_subclass__(**kwargs)
        if is_base and isinstance(getattr(cls, "registry", None), registry):
            event.listen(cls, "resolve_type_annotation", _portable_type)


_PORTABLE: Final[dict[Any, TypeEngine[Any]]] = {
    datetime: UtcDateTime(),
    date: Date(),
    time: Time(),
    bytes: LargeBinary(),
    UUID: Uuid(),
    dict: JsonDocument(),
    list: JsonDocument(),
}


def _portable_type(resolve: TypeResolve) -> TypeEngine[Any] | None:
    annotation: Any = resolve.resolved_type
    if annotation is Decimal:
        raise DeclarationError(
            f"{resolve.cls.__name__}.{resolve.key}",
            "a bare Decimal does not say how many decimals it keeps",
            "Use Mapped[Money], or mapped_column(ExactDecimal(precision, scale))",
        )
    if get_origin(annotation) is Literal:
        return _enumeration(resolve.key, [str(value) for value in get_args(annotation)])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enumeration(resolve.key, annotation)
    return _PORTABLE.get(get_origin(annotation) or annotation)


def _enumeration(column: str, choices: Sequence[str] | type[enum.Enum]) -> Enum:
    values = choices if isinstance(choices, Sequence) else [str(member.value) for member in choices]
    return Enum(
        *([choices] if isinstance(choices, type) else choices),
        name=column,
        native_enum=False,
        create_constraint=True,
        length=max(32, *map(len, values)),  # room, so that a longer value to come changes only the CHECK
        values_callable=_values,
    )


def _values(members: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in members]
