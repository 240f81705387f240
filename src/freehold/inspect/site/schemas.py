"""JSON schemas as lines that people read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from freehold.inspect.catalogue import SCHEMAS

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A line: `name` with dots where it is inside another, its type, whether it must be there, and what else holds."""

    name: str
    type: str
    required: bool
    about: str


def fields(schema: Schema, known: Schema, prefix: str = "", within: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every field of an object, those of objects inside it below it.

    Args:
        schema: of the object, or of a list of such objects.
        known: the schemas that it may refer to, by name.
        prefix: what comes before each name.
        within: the names of the schemas that this one is part of.
    """
    inner, names, many = _opened(schema, known)
    if any(name in within for name in names):
        return
    if many and not prefix:
        prefix = "[]."
    for name, each in inner.get("properties", {}).items():
        required = name in inner.get("required", ())
        yield Field(f"{prefix}{name}", type_name(each, known), required, _about(each))
        _, _, listed = _opened(each, known)
        yield from fields(each, known, f"{prefix}{name}{'[]' if listed else ''}.", (*within, *names))


def type_name(schema: Schema, known: Schema) -> str:
    """What a value is, in few words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(SCHEMAS)
        target = known.get(name, {})
        return name if target.get("properties") else type_name(target, known)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(type_name(each, known) for each in schema[word]))
    if "const" in schema or "enum" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    inner = {"array": schema.get("items"), "object": schema.get("additionalProperties")}.get(schema.get("type", ""))
    if isinstance(inner, dict):
        return f"{'list' if schema['type'] == 'array' else 'map'} of {type_name(inner, known)}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _opened(schema: Schema, known: Schema) -> tuple[Schema, tuple[str, ...], bool]:
    """The object in a schema, the names passed on the way to it, and whether a list was passed too."""
    names: list[str] = []
    many = False
    while True:
        choices = [each for word in ("anyOf", "oneOf", "allOf") for each in schema.get(word, ())]
        choices = [each for each in choices if each.get("type") != "null"]
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(SCHEMAS)
            if name in names:
                return {}, tuple(names), many
            names.append(name)
            schema = known.get(name, {})
        elif schema.get("type") == "array" and isinstance(schema.get("items"), dict):
            many, schema = True, schema["items"]
        elif len(choices) == 1:
            schema = choices[0]
        else:
            return schema, tuple(names), many


_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "{} letters at least",
    "maxLength": "{} letters at most",
    "pattern": "matches {}",
    "default": "{} by default",
}


def _about(schema: Schema) -> str:
    parts = [str(schema["description"]).strip()] if schema.get("description") else []
    for source in (schema, *schema.get("anyOf", ())):
        parts += [text.format(source[word]) for word, text in _LIMITS.items() if source.get(word) not in (None, "")]
    return "; ".join(dict.fromkeys(parts))
