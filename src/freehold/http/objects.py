"""Answers the presigned URLs of objects in a folder, as an object server would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from freehold.http.limits import check_length, too_large
from freehold.model.problem import Problem
from freehold.stores.objects.folder import SIGNED_PATH, FolderObjects
from freehold.stores.objects.store import OCTETS

ROUTE = f"{SIGNED_PATH}{{key:path}}"
METHODS = ("GET", "PUT")
# What strangers uploaded must not act as a page of this site.
_HARMLESS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


class SignedObjects:
    """An ASGI app for `ROUTE`. Raises the Problem with which it refuses.

    Args:
        objects: the folder whose presigned URLs these are.
    """

    def __init__(self, objects: FolderObjects) -> None:
        self._objects = objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = scope["path"].removeprefix(SIGNED_PATH)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self._objects.verify(scope["method"], key, query.get("expires", ""), query.get("signature", ""))
        try:
            response = await (self._download(key) if scope["method"] == "GET" else self._upload(key, scope, receive))
        except ValueError as error:
            raise Problem(400, "BAD_REQUEST", str(error)) from error
        await response(scope, receive, send)

    async def _download(self, key: str) -> Response:
        found = await self._objects.get(key)
        headers = {**_HARMLESS, "Content-Length": str(found.info.size), "Content-Type": found.info.content_type}
        return StreamingResponse(found, headers=headers)

    async def _upload(self, key: str, scope: Scope, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        check_length(headers, self._objects.largest_upload)
        content_type = headers.get(b"content-type", OCTETS.encode()).decode("latin-1")
        await self._objects.put(key, _body(receive, self._objects.largest_upload), content_type=content_type)
        return Response(status_code=200)


async def _body(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The body's parts. Raises the 413 problem as soon as it is longer than it may be."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        yield part
        more = message.get("more_body", False)
