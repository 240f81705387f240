"""Server-sent events: an answer that goes on until its events end, the client leaves, or the process stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from freehold.http.health import Draining

EVENT_STREAM = "text/event-stream"
DRAINING = "freehold.draining"
"""Where the app leaves its `Draining` in the scope."""


class EventStream(Response):
    """Answers with `text/event-stream`: return it from a GET route.

        async def changes() -> AsyncGenerator[tuple[str, BaseModel], None]:
            yield "position", Position(place=1)

        return EventStream(changes())

    The generator is closed, and so runs its `finally`, when it ends, when the client leaves, and when the process
    begins to shut down. It runs after the handler has returned: a transaction of its own is opened for each look.

    Args:
        events: names and data of the events; none of them may hold a line break in its name.
    """

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncGenerator[tuple[str, BaseModel], None]) -> None:
        self._events = events
        self.status_code = 200
        self.background = None
        # Proxies that buffer would keep the events back.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        draining: Draining | None = scope.get(DRAINING)
        async with aclosing(self._events):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            sending = asyncio.create_task(self._send(send))
            tasks = [sending, asyncio.create_task(_left(receive))]
            if draining is not None:
                tasks.append(asyncio.create_task(draining.wait()))
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            if not sending.cancelled():
                sending.result()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send) -> None:
        async for name, data in self._events:
            body = f"event: {name}\ndata: {data.model_dump_json(by_alias=True)}\n\n"
            await send({"type": "http.response.body", "body": body.encode(), "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
