"""When several must have an event before it counts as delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


def all_of(futures: Sequence[asyncio.Future[None]]) -> asyncio.Future[None]:
    """A future that ends when all have: cancelled when one was, else with the first error, else with None."""
    if len(futures) == 1:
        return futures[0]
    whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(futures)
    if not left:
        whole.set_result(None)

    def ended(future: asyncio.Future[None]) -> None:
        nonlocal left
        left -= 1
        error = None if future.cancelled() else future.exception()
        if whole.done():
            return
        if future.cancelled():
            whole.cancel()
        elif error is not None:
            whole.set_exception(error)
        elif left == 0:
            whole.set_result(None)

    for future in futures:
        future.add_done_callback(ended)
    return whole
