"""What the fields of events, commands and queries are called in the contracts."""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.orm import MappedColumn

from freehold.model.points import Coordinates
from freehold.model.type_names import describe_type

Shape = str | dict[str, Any] | list[Any]

_NAMES: Final[dict[Any, str]] = {
    UUID: "uuid",
    str: "string",
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "decimal",
    bytes: "bytes",
    datetime: "timestamptz",
    date: "date",
    time: "time",
    Coordinates: "point",
    IPv4Address: "inet",
    IPv6Address: "inet",
}


def fields(model: type[BaseModel], within: tuple[type[BaseModel], ...] = ()) -> dict[str, Shape]:
    """Each field with its type as the contracts name it; `?` where it may be missing or null.

    A nested model becomes a mapping of its own fields, a list of such models a list of one mapping.
    """
    return {name: _field(field, (*within, model)) for name, field in model.model_fields.items()}


def shape(annotation: Any, within: tuple[type[BaseModel], ...] = ()) -> Shape:
    """The contracts' name of a type annotation; `?` at its end where None is allowed."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return portable(arguments[1:]) or shape(arguments[0], within)
    if origin in (Union, types.UnionType):
        return _union(arguments, within)
    if origin is Literal:
        return "enum"
    if origin in (list, set, frozenset, tuple, Sequence):
        return _list_of(arguments, within)
    if isinstance(annotation, type):
        return _class(annotation, within)
    return "json"


def _field(field: FieldInfo, within: tuple[type[BaseModel], ...]) -> Shape:
    found = portable(field.metadata) or shape(field.annotation, within)
    optional = isinstance(found, str) and not field.is_required() and not found.endswith("?")
    return f"{found}?" if optional else found


def portable(metadata: Sequence[Any]) -> str | None:
    """The column type inside Money, Timestamp and their like, which says more than the Python type."""
    columns = (item.column for item in metadata if isinstance(item, MappedColumn))
    return next((describe_type(column.type)[0] for column in columns), None)


def _union(arguments: tuple[Any, ...], within: tuple[type[BaseModel], ...]) -> Shape:
    choices = [argument for argument in arguments if argument is not type(None)]
    found = shape(choices[0], within) if len(choices) == 1 else "json"
    return f"{found}?" if isinstance(found, str) and len(choices) < len(arguments) else found


def _list_of(arguments: tuple[Any, ...], within: tuple[type[BaseModel], ...]) -> Shape:
    items = shape(arguments[0], within) if arguments else "json"
    return f"{items}[]" if isinstance(items, str) else [items]


def _class(cls: type[Any], within: tuple[type[BaseModel], ...]) -> Shape:
    if issubclass(cls, BaseModel):
        return "json" if cls in within else dict(fields(cls, within))
    if issubclass(cls, enum.Enum):
        return "enum"
    if issubclass(cls, Mapping | dict):
        return "json"
    if cls in (list, set, frozenset, tuple):
        return "json[]"
    return next((name for kind in cls.__mro__ if (name := _NAMES.get(kind))), "json")
