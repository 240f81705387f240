"""Visitors written as generators: they yield what they ask, and get what they were answered."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

from freehold.deploy.load.requests import request

Ask = tuple[str, str, str, Any, Mapping[str, str]]
"""Step, method, path, JSON body, headers."""
Script = Generator[Ask, tuple[int, Any], None]


class Scripted:
    """Follows a script; its first request is made beforehand.

    Args:
        script: not begun yet. It yields `(step, method, path, body, headers)` and gets `(status, answer)`.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.step, *asked = next(script)
        self._first = _request(asked)

    def first(self) -> bytes:
        return self._first

    def then(self, status: int, body: bytes) -> bytes | None:
        try:
            self.step, *asked = self._script.send((status, json.loads(body) if body else None))
        except StopIteration:
            return None
        return _request(asked)


def _request(asked: list[Any]) -> bytes:
    method, path, body, headers = asked
    return request(method, path, body=body, headers=headers)
