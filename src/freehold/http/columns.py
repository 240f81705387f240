"""Pydantic models of a table's rows, made from its columns."""

from __future__ import annotations

from collections.abc import Collection
from datetime import time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, create_model
from pydantic.networks import IPvAnyAddress
from sqlalchemy import BigInteger, Column, Enum, Float, Integer, SmallInteger, String, Text
from sqlalchemy.types import TypeEngine

from freehold.model.columns import (
    ExactDecimal,
    Inet,
    JsonDocument,
    TimeTz,
    UtcDateTime,
    as_utc,
)
from freehold.model.points import Coordinates, PointColumn

_BITS: tuple[tuple[type[TypeEngine[Any]], int], ...] = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))
_PLAIN: tuple[tuple[type[TypeEngine[Any]], Any], ...] = (
    (UtcDateTime, Annotated[AwareDatetime, AfterValidator(as_utc)]),
    (TimeTz, time),
    (JsonDocument, dict[str, Any] | list[Any]),
    (PointColumn, Coordinates),
    (Inet, Annotated[IPvAnyAddress, AfterValidator(str)]),
    (Float, Annotated[float, Field(allow_inf_nan=False)]),
)


def field_type(column: Column[Any]) -> Any:
    """What a value of the column is in JSON, with the limits that the database would enforce."""
    kind = column.type
    if isinstance(kind, Enum):
        return Literal[tuple(kind.enums)]
    if isinstance(kind, ExactDecimal):
        limits = Field(max_digits=kind.precision, decimal_places=kind.scale, allow_inf_nan=False)
        return Annotated[Decimal, limits, PlainSerializer(str, return_type=str, when_used="json")]
    for known, plain in _PLAIN:
        if isinstance(kind, known):
            return plain
    for known, bits in _BITS:
        if isinstance(kind, known):
            return Annotated[int, Field(ge=-(2 ** (bits - 1)), lt=2 ** (bits - 1))]
    if isinstance(kind, String | Text) and kind.length:
        return Annotated[str, Field(max_length=kind.length)]
    return kind.python_type


def shown_model(table: type[Any], without: Collection[str]) -> type[BaseModel]:
    """A row in answers."""
    fields: dict[str, Any] = {
        column.key: (field_type(column) | None if column.nullable else field_type(column), ...)
        for column in table.__table__.columns
        if column.key not in without
    }
    return create_model(table.__name__, __config__=ConfigDict(from_attributes=True), **fields)


def create_body(table: type[Any], without: Collection[str]) -> type[BaseModel]:
    """The body that makes a row: columns without a default are required."""
    fields: dict[str, Any] = {}
    for column in _given(table, without):
        kind = field_type(column)
        if column.nullable:
            fields[column.key] = (kind | None, None)
        elif column.default is not None or column.server_default is not None:
            fields[column.key] = (kind, None)
        else:
            fields[column.key] = (kind, ...)
    return create_model(f"Create{table.__name__}", __config__=ConfigDict(extra="ignore"), **fields)


def update_body(table: type[Any], without: Collection[str]) -> type[BaseModel]:
    """The body that changes a row: only what is given changes; null only where the column may be."""
    fields: dict[str, Any] = {
        column.key: (field_type(column) | None if column.nullable else field_type(column), None)
        for column in _given(table, without)
    }
    return create_model(f"Update{table.__name__}", __config__=ConfigDict(extra="ignore"), **fields)


def _given(table: type[Any], without: Collection[str]) -> list[Column[Any]]:
    return [column for column in table.__table__.columns if column.key not in without]
