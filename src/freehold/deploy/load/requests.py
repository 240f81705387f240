"""Requests as they go over the wire, made before the clock starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def request(method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """An HTTP/1.1 request to this machine, ready to be sent; `body` becomes JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}"]
    if content:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content
