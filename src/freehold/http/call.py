"""A request that was let in, on its way to the handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from freehold.runtime.context import Context


@dataclass(frozen=True, slots=True)
class Call:
    """What the front found out about a request before anything else looks at it.

    Args:
        context: on whose behalf it runs.
        sender: the user's id, the calling service's name or the client's address: the owner of its idempotency keys.
        method, path: of the request.
        params: path parameters, as text.
        query: the query string, undecoded.
        body: all of it; empty for GET.
        key: its Idempotency-Key.
        headers: all of them, names in lower case.
    """

    context: Context
    sender: str
    method: str
    path: str
    params: Mapping[str, str]
    query: bytes
    body: bytes
    key: str | None
    headers: Mapping[bytes, bytes]

    @property
    def target(self) -> str:
        """Path and query string."""
        return f"{self.path}?{self.query.decode('latin-1')}" if self.query else self.path

    @property
    def from_service(self) -> bool:
        """Whether another service asks."""
        return self.sender.startswith("service:")

    @property
    def request_id(self) -> str:
        """What its answer is told by."""
        return self.context.request_id or ""
