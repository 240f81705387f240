"""An OpenAPI document as a list of operations to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from freehold.inspect.site.schemas import Field, fields, type_name

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with what is answered then: a type, and its fields if it is an object."""

    status: str
    about: str
    type: str
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path, with its parameters, its body and its answers."""

    id: str
    method: str
    path: str
    access: str
    summary: str
    about: str
    group: str
    parameters: list[Field]
    body: str
    body_fields: list[Field]
    answers: list[Answer]
    problems: list[Answer]


def operations(document: Document) -> Iterator[Operation]:
    """Every operation, in the order of the document."""
    known = document.get("components", {}).get("schemas", {})
    for path, methods in document.get("paths", {}).items():
        for method, said in methods.items():
            answers = [_answer(status, each, known) for status, each in said["responses"].items()]
            body = _json_schema(said.get("requestBody", {}))
            yield Operation(
                id=said["operationId"],
                method=method.upper(),
                path=path,
                access=said.get("x-freehold-access", ""),
                summary=said.get("summary", ""),
                about=said.get("description", ""),
                group=next(iter(said.get("tags", ())), ""),
                parameters=[_parameter(each, known) for each in said.get("parameters", ())],
                body=type_name(body, known) if body else "",
                body_fields=list(fields(body, known)),
                answers=[each for each in answers if each.status < "4"],
                problems=[each for each in answers if each.status >= "4"],
            )


def _parameter(said: Document, known: Document) -> Field:
    place = f"in the {said['in']}"
    about = "; ".join(filter(None, (place, said.get("description", ""))))
    return Field(said["name"], type_name(said.get("schema", {}), known), said.get("required", False), about)


def _answer(status: str, said: Document, known: Document) -> Answer:
    schema = _json_schema(said)
    kind = type_name(schema, known) if schema else next(iter(said.get("content", {})), "")
    return Answer(status, said.get("description", ""), kind, list(fields(schema, known)))


def _json_schema(said: Document) -> Document:
    found: Document = said.get("content", {}).get("application/json", {}).get("schema", {})
    return found
