"""JSON bodies: what no route can use is refused before one looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.routing import BaseRoute

from freehold.http.problems import Translator, malformed
from freehold.model.problem import Problem

Path = tuple[str | int, ...]


def reads_json(route: BaseRoute) -> bool:
    """Whether the route's handler gets a JSON body, not a form, nor the request itself."""
    field = route.body_field if isinstance(route, APIRoute) else None
    return field is not None and not isinstance(field.field_info, Form)


def check_json(headers: Mapping[bytes, bytes], body: bytes, codes: Mapping[str, str], translator: Translator) -> None:
    """Refuse a body that does not call itself JSON, or holds text that cannot be stored.

    Databases differ in what they do with U+0000, and no UTF-8 can say half of a surrogate pair. Both hide in escapes.
    Raises a Problem: 415 for another content type, else that of an invalid request.
    """
    if not body:
        return
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json")
    if b"\\u" not in body:
        return
    try:
        document = from_json(body)
    except ValueError:
        raise malformed(codes) from None
    errors = [
        {"type": "nul_character", "loc": ("body", *path), "msg": "must not contain the character U+0000"}
        for path in _with_nul(document, ())
    ]
    if errors:
        raise translator.invalid(errors, codes)


def _with_nul(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _with_nul(item, (*path, at))
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                yield path
            yield from _with_nul(item, (*path, name.replace("\0", "")))
