"""Examples of messages, made from their types: the same message always gets the same."""

from __future__ import annotations

import json
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydantic import ValidationError

from freehold.model.messages import Message

_DEFINITIONS = "#/$defs/"
_TEXTS = {
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "time": "09:30:00+00:00",
    "duration": "PT30S",
    "email": "somebody@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipvanyaddress": "192.0.2.1",
    "binary": "",
}
Schema = dict[str, Any]


def example(message: type[Message]) -> dict[str, Any] | None:
    """The data of such a message as it travels; None where a rule of its own refuses what its types allow.

    What a field declares as `examples=` is taken first.
    """
    schema = message.model_json_schema(mode="validation")
    try:
        made = message.model_validate_json(json.dumps(_value(schema, schema.get("$defs", {}), "", ())))
    except (ValidationError, _Endless):
        return None
    found: dict[str, Any] = json.loads(made.model_dump_json())
    return found


class _Endless(Exception):
    """A type that holds itself, and must."""


def _value(schema: Schema, known: Schema, name: str, within: tuple[str, ...]) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    for word in ("const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        target = schema["$ref"].removeprefix(_DEFINITIONS)
        if target in within:
            raise _Endless
        return _value(known[target], known, name, (*within, target))
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            chosen = next((each for each in schema[word] if each.get("type") != "null"), schema[word][0])
            return _value(chosen, known, name, within)
    return _of_type(schema, known, name, within)


def _of_type(schema: Schema, known: Schema, name: str, within: tuple[str, ...]) -> Any:
    match schema.get("type"):
        case "object":
            return _object(schema, known, within)
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", {})] * max(1, schema.get("minItems", 1))
            return [_value(each, known, name, within) for each in items]
        case "integer" | "number":
            return _number(schema)
        case "string":
            return _text(schema, name)
        case kind:
            return {"boolean": True, "null": None}.get(str(kind), {})


def _object(schema: Schema, known: Schema, within: tuple[str, ...]) -> dict[str, Any]:
    required, made = schema.get("required", ()), {}
    for name, each in schema.get("properties", {}).items():
        try:
            made[name] = _value(each, known, name, within)
        except _Endless:
            if name in required:
                raise
    return made


def _number(schema: Schema) -> float:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if schema["type"] == "number" and least is not None and most is not None:
        return float(least + most) / 2
    number: float = 1
    if least is not None:
        number = max(number, least if "minimum" in schema else least + 1)
    elif most is not None:
        number = min(number, most if "maximum" in schema else most - 1)
    return number


def _text(schema: Schema, name: str) -> str:
    kind = schema.get("format", "")
    if kind == "uuid":
        return str(uuid5(NAMESPACE_OID, name))
    text = _TEXTS.get(kind) or name.replace("_", " ") or "text"
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
