"""The schema of an event or a command, as far as it decides who can read it: names, types, what may be missing."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from freehold.inspect.shapes import portable, shape
from freehold.model.messages import Message

Field = Mapping[str, Any]
"""`type`, with `null` where None is allowed and `optional` where the field may be missing; `values` of an enum,
`fields` of an object, `items` of a list."""
Difference = tuple[str, str, bool]
"""A path, what became of it, and whether readers of before and of today can both live with it."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of a message: where it travels, what keeps it in order, and its fields."""

    topic: str
    key: str
    fields: Mapping[str, Field]

    def differences(self, later: Schema) -> Iterator[Difference]:
        """What a later declaration of the same version changes."""
        if self.key != later.key:
            yield "key", f"was {self.key} and is {later.key}: what is under way keeps another order", False
        yield from _fields_differ(self.fields, later.fields, "")


def schema_of(message: type[Message]) -> Schema:
    """The schema of a message as it is declared."""
    return Schema(message.__message__.topic, message.__message__.key, _fields(message, ()))


# --- what is declared -------------------------------------------------------------------------------------------------


def _fields(model: type[BaseModel], within: tuple[type[BaseModel], ...]) -> dict[str, Field]:
    inner = (*within, model)
    found: dict[str, Field] = {}
    for name, field in model.model_fields.items():
        named = portable(field.metadata)
        described = {"type": named} if named else _type(field.annotation, inner)
        found[name] = described if field.is_required() else {**described, "optional": True}
    return found


def _type(annotation: Any, within: tuple[type[BaseModel], ...]) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        named = portable(arguments[1:])
        return {"type": named} if named else _type(arguments[0], within)
    if origin in (Union, types.UnionType):
        choices = [argument for argument in arguments if argument is not type(None)]
        described = _type(choices[0], within) if len(choices) == 1 else {"type": "json"}
        return {**described, "null": True} if len(choices) < len(arguments) else described
    if origin is Literal:
        return {"type": "enum", "values": sorted(map(str, arguments))}
    if origin in (list, set, frozenset, tuple, Sequence):
        return {"type": "list", "items": _type(arguments[0], within) if arguments else {"type": "json"}}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"type": "enum", "values": sorted(str(member.value) for member in annotation)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in within:
        return {"type": "object", "fields": _fields(annotation, within)}
    other = shape(annotation, within)
    return {"type": other if isinstance(other, str) else "json"}


# --- what changed -----------------------------------------------------------------------------------------------------


def _fields_differ(before: Mapping[str, Field], after: Mapping[str, Field], path: str) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{path}{name}", "was removed or renamed: a reader of before would miss it", False
        elif name not in before:
            may_miss = bool(after[name].get("optional"))
            why = "was added with a default" if may_miss else "was added without a default: what is under way lacks it"
            yield f"{path}{name}", why, may_miss
        else:
            yield from _field_differs(before[name], after[name], f"{path}{name}")


def _field_differs(before: Field, after: Field, path: str) -> Iterator[Difference]:
    if before["type"] != after["type"]:
        yield path, f"was {before['type']} and is {after['type']}", False
        return
    if bool(before.get("null")) != bool(after.get("null")):
        was = "may be null now, which a reader of before refuses" if after.get("null") else "may be null no more"
        yield path, was, False
    if bool(before.get("optional")) != bool(after.get("optional")):
        gained = bool(after.get("optional"))
        yield path, "has a default now" if gained else "has a default no more: what is under way may lack it", gained
    values, others = set(before.get("values", ())), set(after.get("values", ()))
    if more := sorted(others - values):
        yield path, f"may be {', '.join(more)} now, which a reader of before refuses", False
    if fewer := sorted(values - others):
        yield path, f"may be {', '.join(fewer)} no more, which is under way perhaps", False
    if before["type"] == "object":
        yield from _fields_differ(before["fields"], after["fields"], f"{path}.")
    if before["type"] == "list":
        yield from _field_differs(before["items"], after["items"], f"{path}[]")
