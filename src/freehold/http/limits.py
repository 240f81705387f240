"""Bodies, read no further than they may be long."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from freehold.model.problem import Problem


def too_large(limit: int) -> Problem:
    """413; the connection is closed, since the rest of the body is still on its way."""
    return Problem(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {limit} bytes", headers={"Connection": "close"})


def check_length(headers: Mapping[bytes, bytes], limit: int) -> None:
    """Refuse a body whose announced length is over the limit."""
    length = headers.get(b"content-length")
    if length is None:
        return
    if not length.isdigit():
        raise Problem(400, "BAD_REQUEST", "Content-Length is not a number")
    if int(length) > limit:
        raise too_large(limit)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises the 413 problem as soon as it is longer, ClientDisconnect when the client leaves."""
    message = await receive()
    first: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False) and len(first) <= limit:
        return first
    parts, size = [], 0
    while message["type"] == "http.request":
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise ClientDisconnect


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then whatever comes after it."""
    pending: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def receive_again() -> Message:
        nonlocal pending
        if pending is None:
            return await receive()
        message, pending = pending, None
        return message

    return receive_again
