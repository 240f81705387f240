"""Column types by the names that contracts and descriptions call them."""

from __future__ import annotations

import types
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Time,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.types import TypeEngine

from freehold.model.columns import ExactDecimal, Inet, JsonDocument, RawJson, TimeTz, UtcDateTime
from freehold.model.points import PointColumn

_NAMES: Final[tuple[tuple[type[TypeEngine[Any]] | types.UnionType, str], ...]] = (
    (Uuid, "uuid"),
    (SmallInteger, "smallint"),
    (BigInteger, "bigint"),
    (Integer, "int"),
    (Boolean, "bool"),
    (UtcDateTime, "timestamptz"),
    (TimeTz, "timetz"),
    (DateTime, "timestamptz"),
    (Date, "date"),
    (Time, "time"),
    (Inet, "inet"),
    (PointColumn, "point"),
    (JsonDocument | RawJson | JSON, "json"),
    (LargeBinary, "bytes"),
    (Float, "float"),
)


def describe_type(column_type: TypeEngine[Any]) -> tuple[str, list[str] | None]:
    """The contract's name of a column type, and the values of an enum."""
    if isinstance(column_type, Enum):
        return "enum", list(column_type.enums)
    for kind, name in _NAMES:
        if isinstance(column_type, kind):
            return name, None
    if isinstance(column_type, ExactDecimal | Numeric):
        return f"decimal({column_type.precision},{column_type.scale})", None
    if isinstance(column_type, String):
        return (f"string({column_type.length})" if column_type.length else "text"), None
    if isinstance(column_type, TypeDecorator):
        return describe_type(column_type.impl_instance)
    return str(column_type).lower(), None
